import { DatabaseSync } from "node:sqlite";

const scope = self as unknown as { onmessage(event: MessageEvent): void; postMessage(text: string): void };

/** Does to a database what other programs may do, and closes it each time. */
const COMMANDS = [
  "INSERT INTO blobs (x) VALUES (zeroblob(20000))",
  "PRAGMA wal_checkpoint(PASSIVE)",
  "PRAGMA wal_checkpoint(RESTART)",
  "PRAGMA wal_checkpoint(TRUNCATE)",
  "DELETE FROM blobs WHERE id % 2 = 0",
  "VACUUM",
];

scope.onmessage = ({ data: path }) => {
  for (let i = 0; i < 80; i++) {
    const db = new DatabaseSync(path, { timeout: 20 });
    try {
      db.exec(COMMANDS[Math.floor(Math.random() * COMMANDS.length)]!);
    } catch { /* locked */ }
    db.close();
  }
  scope.postMessage("ended");
};
