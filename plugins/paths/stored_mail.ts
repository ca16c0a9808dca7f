import type { Migration, Store } from "../persistence.ts";
import type { Mailbox, MailMessage, MailStore } from "./mailboxes.ts";

const TABLES: Migration = `
  CREATE TABLE paths_mailboxes (
    scope TEXT NOT NULL, path TEXT NOT NULL, client TEXT NOT NULL, until INTEGER NOT NULL,
    PRIMARY KEY (scope, path, client)
  ) WITHOUT ROWID;
  CREATE TABLE paths_letters (
    id INTEGER PRIMARY KEY, scope TEXT NOT NULL, path TEXT NOT NULL, client TEXT NOT NULL, sender TEXT NOT NULL,
    payload TEXT NOT NULL
  );
  CREATE INDEX paths_letters_by_client ON paths_letters (scope, path, client);
`;

type MailboxRow = Omit<Mailbox, "messages">;

/**
 * Stores mailboxes in a database, with the secret that signs client tokens. Services that share a database need
 * different scopes.
 *
 * ```ts
 * import { Server } from "@plugboard/server";
 * import { paths, storedMail } from "@plugboard/server/paths";
 * import { persistence } from "@plugboard/server/persistence";
 *
 * const server = new Server({ port: 0 });
 * const store = server.use(persistence({ path: ":memory:" }));
 * server.use(paths({ mailStore: storedMail(store) }));
 * ```
 */
export function storedMail(
  store: Pick<Store, "all" | "write" | "migrate" | "keyValues">,
  scope = "paths",
): MailStore {
  function messagesOf({ path, client }: MailboxRow): MailMessage[] {
    const sql =
      "SELECT sender, payload FROM paths_letters WHERE scope = ? AND path = ? AND client = ? ORDER BY id";
    const rows = store.all<{ sender: string; payload: string }>(sql, [scope, path, client]);
    return rows.map(({ sender, payload }) => ({ from: sender, payload: JSON.parse(payload) as string }));
  }

  return {
    async load() {
      await store.migrate("paths", [TABLES]);
      const sql = "SELECT path, client, until FROM paths_mailboxes WHERE scope = ?";
      return store.all<MailboxRow>(sql, [scope]).map((row) => ({ ...row, messages: messagesOf(row) }));
    },
    open: (path, client, until) =>
      store.write((tx) => {
        tx.run("INSERT OR REPLACE INTO paths_mailboxes VALUES (?, ?, ?, ?)", [scope, path, client, until]);
      }),
    add: (path, client, { from, payload }) =>
      store.write((tx) => {
        const sql = "INSERT INTO paths_letters (scope, path, client, sender, payload) VALUES (?, ?, ?, ?, ?)";
        // As JSON, because SQLite does not preserve every string (NUL characters, unpaired surrogates).
        tx.run(sql, [scope, path, client, from, JSON.stringify(payload)]);
      }),
    remove: (path, client) =>
      store.write((tx) => {
        for (const table of ["paths_mailboxes", "paths_letters"]) {
          tx.run(`DELETE FROM ${table} WHERE scope = ? AND path = ? AND client = ?`, [scope, path, client]);
        }
      }),
    async secret() {
      const values = store.keyValues<string>(scope);
      const known = values.get("secret");
      if (known !== undefined) return known;
      const secret = crypto.randomUUID() + crypto.randomUUID();
      await values.set("secret", secret);
      return secret;
    },
  };
}
