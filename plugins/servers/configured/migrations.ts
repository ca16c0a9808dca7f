/**
 * Migrations from a folder of `.sql` files.
 *
 * @module
 */

import { hash } from "node:crypto";
import { messageOf, PlugboardError } from "../../../core/mod.ts";
import type { Store } from "../../persistence.ts";

/** One file. */
export interface MigrationFile {
  readonly name: string;
  readonly sql: string;
}

/** Reads the files of a folder in the order of their names. */
export function readMigrations(folder: string): MigrationFile[] {
  try {
    const names = [...Deno.readDirSync(folder)].filter(({ name, isDirectory }) =>
      name.endsWith(".sql") && !name.startsWith(".") && !isDirectory
    ).map(({ name }) => name);
    return names.sort().map((name) => ({ name, sql: Deno.readTextFileSync(`${folder}/${name}`) }));
  } catch (error) {
    const allow = error instanceof Deno.errors.NotCapable
      ? `; start the program with --allow-read=${folder}`
      : "";
    throw new PlugboardError(
      "bad_setting",
      `migrations: cannot read the folder ${folder}${allow || `: ${messageOf(error)}`}`,
    );
  }
}

/** What is known of a file that has run. */
interface Applied {
  readonly hash: string;
}

/**
 * Runs the files that the database has not seen, each completely or not at all. Fails if a file that has run was changed or
 * removed, or if a new one comes before it. `ran` is called before each.
 */
export async function migrateFrom(
  store: Pick<Store, "migrate" | "keyValues">,
  files: readonly MigrationFile[],
  ran: (name: string) => void = () => {},
): Promise<void> {
  const applied = store.keyValues<Applied>("app_migrations");
  const known = new Map(applied.load());
  const fail = (name: string, why: string) =>
    new PlugboardError("bad_migration", `The migration ${name} ${why}`);
  for (const [i, { name, sql }] of files.entries()) {
    const before = known.get(name);
    if (before === undefined && i < known.size) throw fail(name, "is new, but comes before one that has run");
    if (before !== undefined && before.hash !== hashOf(sql)) {
      throw fail(name, "has run, and was changed since");
    }
  }
  const removed = known.keys().find((name) => !files.some((file) => file.name === name));
  if (removed !== undefined) throw fail(removed, "has run, and is missing now");
  await store.migrate(
    "app",
    files.map(({ name, sql }) => (tx) => {
      ran(name);
      try {
        tx.exec(sql);
      } catch (error) {
        throw fail(name, `failed: ${messageOf(error)}`);
      }
      applied.within(tx).set(name, { hash: hashOf(sql) });
    }),
  );
}

function hashOf(text: string): string {
  return hash("sha256", text.replaceAll("\r\n", "\n"));
}
