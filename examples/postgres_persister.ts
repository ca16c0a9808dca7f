/**
 * TinyBase stores in PostgreSQL: how to write a persister.
 *
 *     DATABASE_URL=postgres://me:secret@localhost/stores deno run --allow-net --allow-env examples/postgres_persister.ts
 *
 * Clients connect as to TinyBase's server:
 *
 *     createWsSynchronizer(store, new WebSocket("ws://localhost:5000/petShop"))
 */

import { loadSettings, run, Server, setting } from "@plugboard/server";
import { logging } from "@plugboard/server/logging";
import { paths } from "@plugboard/server/paths";
import { type PathPersister, tinybase } from "@plugboard/server/tinybase";

/** The part of a PostgreSQL client that is used; `pg` and PGlite implement it. */
export interface Postgres {
  query<Row>(sql: string, params?: unknown[]): Promise<{ rows: Row[] }>;
}

/**
 * Stores all paths in one table, with each row of a store in a row of the table. A save is one statement, so it is
 * atomic.
 */
export function postgresPersister(db: Postgres): (path: string) => Promise<PathPersister> {
  let created: Promise<unknown> | undefined;
  return async (path) => {
    await (created ??= db.query(`CREATE TABLE IF NOT EXISTS tinybase_parts (
      path text NOT NULL, part text NOT NULL, content text NOT NULL, PRIMARY KEY (path, part)
    )`));
    return {
      async load() {
        const sql = "SELECT part, content FROM tinybase_parts WHERE path = $1";
        const { rows } = await db.query<{ part: string; content: string }>(sql, [path]);
        return rows.map(({ part, content }) => [part, content]);
      },
      async save(parts) {
        await db.query(
          `INSERT INTO tinybase_parts SELECT $1, * FROM unnest($2::text[], $3::text[])
           ON CONFLICT (path, part) DO UPDATE SET content = excluded.content`,
          [path, [...parts.keys()], [...parts.values()]],
        );
      },
    };
  };
}

if (import.meta.main) {
  const { PORT, DATABASE_URL = "postgres://localhost/postgres" } = loadSettings({
    PORT: setting.integer(5000, "Port to listen on"),
    DATABASE_URL: setting.secret("The database. By default the one on localhost"),
  });

  const { default: postgres } = await import("npm:postgres@3.4.9");
  const sql = postgres(DATABASE_URL);
  const db: Postgres = {
    query: async <Row>(text: string, params: unknown[] = []) => ({
      rows: await sql.unsafe(text, params as string[]) as unknown as Row[],
    }),
  };

  const server = new Server({ port: PORT });
  server.use(logging());
  server.use({ name: "postgres", stop: () => sql.end() });
  server.use(tinybase({
    paths: server.use(paths()),
    path: "/",
    createPersisterForPath: postgresPersister(db),
  }));
  await run(server);
}
