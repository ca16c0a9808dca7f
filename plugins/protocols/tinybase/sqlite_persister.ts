import type { Migration, Store } from "../../persistence.ts";
import type { PathPersister } from "./parts.ts";

const TABLE: Migration = `
  CREATE TABLE tinybase_parts (
    path TEXT NOT NULL, part TEXT NOT NULL, text TEXT NOT NULL, PRIMARY KEY (path, part)
  ) WITHOUT ROWID;
`;

/**
 * Stores all paths in one SQLite database, for `createPersisterForPath`. A change rewrites only the rows it touches,
 * and changes of several paths share a transaction.
 *
 * ```ts
 * import { Server } from "@plugboard/server";
 * import { paths } from "@plugboard/server/paths";
 * import { persistence } from "@plugboard/server/persistence";
 * import { sqlitePersister, tinybase } from "@plugboard/server/tinybase";
 *
 * const server = new Server({ port: 0 });
 * const store = server.use(persistence({ path: ":memory:" }));
 * server.use(tinybase({ paths: server.use(paths()), createPersisterForPath: sqlitePersister(store) }));
 * ```
 */
export function sqlitePersister(
  store: Pick<Store, "all" | "write" | "migrate">,
): (path: string) => Promise<PathPersister> {
  let migrated: Promise<void> | undefined;

  return async (path) => {
    await (migrated ??= store.migrate("tinybase", [TABLE]).catch((error) => {
      migrated = undefined; // retried with the next path
      throw error;
    }));
    return {
      load: () => load(store, path),
      save: (parts) =>
        store.write((tx) => {
          for (const [part, text] of parts) {
            tx.run("INSERT OR REPLACE INTO tinybase_parts VALUES (?, ?, ?)", [path, part, text]);
          }
        }),
    };
  };
}

interface PartRow {
  readonly part: string;
  readonly text: string;
}

/** Reads 500 parts at once, which takes about 1 ms. */
const PAGE = "SELECT part, text FROM tinybase_parts WHERE path = ? AND part > ? ORDER BY part LIMIT 500";

/** Yields the parts of a path. */
function* load(store: Pick<Store, "all">, path: string): Iterable<[key: string, text: string]> {
  let last: string | undefined = "";
  while (last !== undefined) {
    const rows: PartRow[] = store.all(PAGE, [path, last]);
    for (const { part, text } of rows) yield [part, text];
    last = rows.at(-1)?.part;
  }
}
