/** A worker that reads the rows of a query. */

import { DatabaseSync } from "node:sqlite";

const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<{ path: string; sql: string }>) => void;
  postMessage: (answer: { rowCount: number; durationMs: number }) => void;
};

scope.onmessage = ({ data: { path, sql } }) => {
  const db = new DatabaseSync(path, { readOnly: true });
  const begun = performance.now();
  const statement = db.prepare(sql);
  statement.setReadBigInts(true);
  (statement as unknown as { setReturnArrays(enabled: boolean): void }).setReturnArrays(true);
  let rowCount = 0;
  for (const _ of statement.iterate()) rowCount++;
  const durationMs = performance.now() - begun;
  db.close();
  scope.postMessage({ rowCount, durationMs });
};
