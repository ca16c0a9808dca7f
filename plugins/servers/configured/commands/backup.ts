import { basename, dirname, join } from "node:path";
import { backup as copy, DatabaseSync } from "node:sqlite";
import { messageOf, PlugboardError } from "../../../../core/mod.ts";
import { argumentsOf, type Command, progress } from "./command.ts";

/** Pages that are copied at once; the progress is shown in between. */
const PAGES = 1_000;

/** Copies the database, whether a server uses it or not. */
export const backup: Command = {
  name: "backup",
  arguments: "PATH",
  help: "Writes a copy of the database, also while the server runs",
  flags: {},
  examples: ["backup data/backups/monday.db", "backup data/now.db --data-dir /srv/data"],
  async run({ loaded: { settings: { dataDir } }, words, print }) {
    const [path] = argumentsOf(words, "PATH") as [string];
    const source = `${dataDir}/plugboard.db`;
    const partial = `${dirname(path)}/.${basename(path)}.partial`;
    const bar = progress();
    try {
      await Deno.stat(source);
      await Deno.mkdir(dirname(path), { recursive: true });
      await refuseOwnFiles(path, source);
      const db = new DatabaseSync(source, { readOnly: true, timeout: 5_000 });
      try {
        // In a transaction, so that the copy has one state and does not restart with every write.
        db.exec("BEGIN; SELECT count(*) FROM sqlite_schema");
        await copy(db, partial, {
          rate: PAGES,
          progress: ({ totalPages, remainingPages }) => {
            bar.show(`${Math.floor(100 * (1 - remainingPages / Math.max(1, totalPages)))} %`);
          },
        });
      } finally {
        db.close();
      }
      await Deno.rename(partial, path);
    } catch (error) {
      await Deno.remove(partial).catch(() => {});
      throw new PlugboardError("bad_backup", `Cannot back up ${source} to ${path}: ${reasonOf(error, path)}`);
    } finally {
      bar.end();
    }
    print(`${path}: ${(await Deno.stat(path)).size} bytes`);
  },
};

/** Replacing a file of the database would destroy it. A folder can have several paths. */
async function refuseOwnFiles(path: string, source: string): Promise<void> {
  const real = async (file: string) => join(await Deno.realPath(dirname(file)), basename(file));
  const [target, own] = await Promise.all([real(path), real(source)]);
  if (!["", "-wal", "-shm", ".lock"].some((end) => target === `${own}${end}`)) return;
  throw new Error("a backup cannot have the path of the database itself");
}

function reasonOf(error: unknown, path: string): string {
  if (error instanceof Deno.errors.NotCapable) {
    return `the program may not use the folder; start it with --allow-read and --allow-write=${
      dirname(path)
    }`;
  }
  return messageOf(error);
}
