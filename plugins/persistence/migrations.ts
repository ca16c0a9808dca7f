import { PlugboardError } from "../../core/mod.ts";
import type { Migration } from "./sql_types.ts";
import type { Store } from "./types.ts";

/** The table of versions. It is created without a migration, since that could not be recorded yet. */
const TABLE = `CREATE TABLE IF NOT EXISTS plugboard_migrations (
  owner TEXT NOT NULL, version INTEGER NOT NULL, applied_at INTEGER NOT NULL, PRIMARY KEY (owner, version)
) WITHOUT ROWID`;

/** Runs the migrations of `owner` that the file has not seen. */
export async function migrate(
  store: Pick<Store, "get" | "write">,
  owner: string,
  migrations: readonly Migration[],
  now: () => number,
): Promise<void> {
  const known = migrations.length;
  const version = versionOf(store, owner);
  if (version > known) {
    throw new PlugboardError(
      "newer_schema",
      `The database was used by a newer program: its tables for ${owner} have version ${version}, ` +
        `this program knows ${known}. Use the newer program, or a backup from before`,
    );
  }
  // All are queued at once, so no other write comes between them. If one fails, all later ones fail too.
  await Promise.all(
    migrations.slice(version).map((migration, i) =>
      store.write((tx) => {
        tx.exec(TABLE);
        const next = version + i + 1;
        const done = versionOf(tx, owner);
        if (done >= next) return; // another process has run it
        if (done < next - 1) {
          throw new PlugboardError("migration_failed", `Migration ${next - 1} of ${owner} failed`);
        }
        if (typeof migration === "string") tx.exec(migration);
        else migration(tx);
        tx.run("INSERT INTO plugboard_migrations VALUES (?, ?, ?)", [owner, next, now()]);
      })
    ),
  );
}

function versionOf(reader: Pick<Store, "get">, owner: string): number {
  const exists = reader.get("SELECT 1 FROM sqlite_schema WHERE name = 'plugboard_migrations'");
  if (exists === undefined) return 0;
  const sql = "SELECT coalesce(max(version), 0) AS version FROM plugboard_migrations WHERE owner = ?";
  return reader.get<{ version: number }>(sql, [owner])!.version;
}
