import { channels } from "../../../plugins/channels.ts";
import { persistence } from "../../../plugins/persistence.ts";
import { json } from "../../../plugins/protocols/json.ts";
import { sqlEvents, type SqlEventsOptions } from "../../../plugins/sql_events.ts";
import type { ServerOptions } from "../../../core/mod.ts";
import { type Client, serve } from "../../kit/mod.ts";
import { folder } from "../persistence/kit.ts";

/** A table with as many rows as a cross join of it with itself needs to take for ever. */
export const NUMBERS = `
  CREATE TABLE numbers (n INTEGER PRIMARY KEY, name TEXT NOT NULL);
  WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 20000)
  INSERT INTO numbers SELECT x, 'number ' || x FROM c;
`;

/** Gives rows for hours. */
export const ROWS_FOR_EVER = "SELECT a.n FROM numbers a, numbers b, numbers c";
/** Gives its only row in years. */
export const ONE_ROW_NEVER = "SELECT count(*) FROM numbers a, numbers b, numbers c WHERE a.n + b.n + c.n > 1";

/** A server with a database in a file, or in memory, whose events are heard over the json protocol. */
export async function serveSql(
  { memory = false, ...options }: Partial<SqlEventsOptions> & { memory?: boolean } = {},
  serverOptions: ServerOptions = {},
) {
  const files = folder();
  const path = memory ? ":memory:" : files.file("a, b.db");
  const store = persistence({ path, pollMs: 20 });
  const bus = channels();
  const events = sqlEvents({ channels: bus.api, store: store.api, ...options });
  const server = await serve(serverOptions, store, bus, events, json({ channels: bus.api }));

  async function join(...subscribed: string[]): Promise<Client> {
    const client = await server.connect("/ws");
    await client.nextJson(); // the acknowledgement
    for (const channel of subscribed) {
      client.sendJson({ type: "subscribe", channel });
      await client.nextJson();
    }
    return client;
  }

  return {
    ...server,
    path,
    store: store.api,
    events: events.api,
    bus: bus.api,
    join,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      files[Symbol.dispose]();
    },
  };
}

/** The next event that is no progress: its type and its data. */
// deno-lint-ignore no-explicit-any -- tests look into what they expect
export async function nextEvent(client: Client): Promise<[string, any]> {
  for (;;) {
    const { type, data } = await client.nextJson();
    if (type !== "query:progress") return [type, data];
  }
}
