/**
 * The methods for the database: its tables and their rows, its file, and backups.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";
import type { Store } from "../persistence.ts";
import { OWN_TABLES } from "../shared/own_tables.ts";
import { json } from "./fields.ts";
import { tableText } from "./table_rows.ts";
import { tableWrites } from "./table_writes.ts";
import { type Method, own } from "./types.ts";

/** What the methods work with. A service that is absent is not available. */
export interface DatabaseParts {
  readonly store: Pick<Store, "all" | "table" | "write" | "backup" | "path" | "problem"> | undefined;
  /** The folder of backups. */
  readonly backups: string | undefined;
  wallTime(): number;
}

const DATABASE = "admin:database";

/** Makes the methods. */
export function databaseMethods({ store, backups, wallTime }: DatabaseParts): Method[] {
  let writing = false;

  return [
    own({
      name: "tables",
      summary: "Lists the app's tables and their columns",
      params: { type: "object", properties: {} },
      result: {
        type: "object",
        properties: {
          tables: {
            type: "array",
            items: {
              type: "object",
              properties: {
                name: { type: "string" },
                columns: { type: "array", items: { type: "string" } },
                primary_key: { type: "array", items: { type: "string" } },
              },
            },
          },
        },
      },
      permission: DATABASE,
      run() {
        const tables = storeOf(store).all<{ name: string }>(
          "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name",
        ).flatMap(({ name }) => {
          const table = OWN_TABLES.test(name) ? undefined : store?.table(name);
          if (table === undefined || table.shadow) return [];
          return [{ name, columns: table.columns, primary_key: table.primaryKey }];
        });
        return JSON.stringify({ tables });
      },
    }),

    own({
      name: "table",
      summary: "Returns rows of a table in the order of its key, with long texts cut",
      params: {
        type: "object",
        properties: {
          name: { type: "string", minLength: 1, description: "The name of the table" },
          limit: {
            type: "integer",
            minimum: 1,
            maximum: 200,
            description: "The maximum number of rows, by default 50",
          },
          after: { type: "array", items: {}, description: "The `next` of the previous page" },
        },
        required: ["name"],
      },
      result: {
        type: "object",
        properties: {
          columns: { type: "array", items: { type: "string" } },
          key: { type: "array", items: { type: "string" }, description: "The columns of the order" },
          writable: {
            type: "array",
            items: { type: "string" },
            description: "The columns that the caller may set; absent without the permission `admin:rows`",
          },
          rows: {
            type: "array",
            items: { type: "array", items: {} },
            description: 'A text of more than 1,000 bytes is {"begins":"…","bytes":5000}, a blob {"bytes":5}',
          },
          keys: {
            type: "array",
            items: {},
            description: "The key of each row, for changes; null if it is longer than 1,000 bytes",
          },
          next: { type: "array", items: {}, description: "Absent on the last page" },
        },
      },
      permission: DATABASE,
      run: ({ name, limit = 50, after }, { identity }) =>
        tableText(storeOf(store), name, limit, after, identity.can("admin", "rows")),
    }),

    ...tableWrites(() => storeOf(store)),

    own({
      name: "database",
      summary: "Describes the database: its file, the migrations it has seen, and the latest backup",
      params: { type: "object", properties: {} },
      result: {
        type: "object",
        properties: {
          path: { type: "string" },
          bytes: { type: "integer" },
          wal_bytes: { type: "integer", description: "Of changes that are not in the file yet" },
          problem: { type: "string", description: "What is wrong with it" },
          migrations: json("By owner, with their number and the time of the latest"),
          last_backup: json("The path, bytes and time"),
        },
      },
      permission: DATABASE,
      async run() {
        const { path, problem } = storeOf(store);
        const [bytes, wal_bytes] = await Promise.all([sizeOf(path), sizeOf(`${path}-wal`)]);
        const last_backup = await lastBackup(backups);
        const migrations = migrationsIn(storeOf(store));
        return JSON.stringify({ path, bytes, wal_bytes, problem, migrations, last_backup });
      },
    }),

    own({
      name: "backup",
      summary: "Writes a copy of the database to the folder of backups",
      params: {
        type: "object",
        properties: {
          name: {
            type: "string",
            pattern: "^[A-Za-z0-9][A-Za-z0-9_-]*(\\.[A-Za-z0-9_-]+)*$",
            maxLength: 100,
            description:
              "The name of the file, by default one with the time. An older file of this name is replaced",
          },
        },
      },
      result: { type: "object", properties: { path: { type: "string" }, bytes: { type: "integer" } } },
      permission: DATABASE,
      async run({ name = defaultName(wallTime()) }) {
        if (backups === undefined) throw notAvailable("There is no folder for backups");
        if (writing) throw new PlugboardError("conflict", "Another backup is being written");
        writing = true;
        try {
          const path = `${backups}/${name}`;
          await Deno.mkdir(backups, { recursive: true });
          await storeOf(store).backup(path);
          return JSON.stringify({ path, bytes: (await Deno.stat(path)).size });
        } finally {
          writing = false;
        }
      },
    }),
  ];
}

function migrationsIn(store: Pick<Store, "all">): object[] {
  const known = store.all("SELECT 1 FROM sqlite_schema WHERE name = 'plugboard_migrations'");
  if (known.length === 0) return [];
  return store.all(
    "SELECT owner, max(version) AS version, max(applied_at) AS applied_at FROM plugboard_migrations " +
      "GROUP BY owner ORDER BY owner",
  );
}

/** The bytes of a file; absent where there is none. */
async function sizeOf(path: string): Promise<number | undefined> {
  return path.startsWith(":memory:") ? undefined : (await statOf(path))?.size;
}

async function statOf(path: string): Promise<Deno.FileInfo | undefined> {
  try {
    return await Deno.stat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function lastBackup(folder: string | undefined): Promise<object | undefined> {
  if (folder === undefined || await statOf(folder) === undefined) return undefined;
  let last: { path: string; bytes: number; time: number } | undefined;
  for await (const { name, isFile } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    const stat = isFile ? await statOf(path) : undefined;
    const time = stat?.mtime?.getTime() ?? 0;
    if (stat !== undefined && time > (last?.time ?? 0)) last = { path, bytes: stat.size, time };
  }
  return last;
}

function storeOf<S>(store: S | undefined): S {
  if (store === undefined) throw notAvailable("There is no database");
  return store;
}

function notAvailable(message: string): PlugboardError {
  return new PlugboardError("not_available", message);
}

/** `plugboard-20261128-211930.db`, in UTC. */
function defaultName(now: number): string {
  const digits = new Date(now).toISOString().replaceAll(/\D/g, "");
  return `plugboard-${digits.slice(0, 8)}-${digits.slice(8, 14)}.db`;
}
