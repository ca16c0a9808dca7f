import assert from "node:assert/strict";
import { channels } from "../../../plugins/channels.ts";
import { persistence } from "../../../plugins/persistence.ts";
import { json } from "../../../plugins/protocols/json.ts";
import { type RunIn, sqlEvents, type SqlEventsOptions } from "../../../plugins/sql_events.ts";
import { PlugboardError, type ServerOptions } from "../../../core/mod.ts";
import { type Client, serve } from "../../kit/mod.ts";
import { folder } from "../persistence/kit.ts";

/** A table whose cross join with itself takes practically forever. */
export const NUMBERS = `
  CREATE TABLE numbers (n INTEGER PRIMARY KEY, name TEXT NOT NULL);
  WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 20000)
  INSERT INTO numbers SELECT x, 'number ' || x FROM c;
`;

/** Produces rows for hours. */
export const ENDLESS_ROWS = "SELECT a.n FROM numbers a, numbers b, numbers c";
/** Takes years to produce its only row. */
export const ENDLESS_AGGREGATE =
  "SELECT count(*) FROM numbers a, numbers b, numbers c WHERE a.n + b.n + c.n > 1";

/** A server with a database in a file or in memory, whose events clients receive over the json protocol. */
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

/** Returns the type and data of the next event that is no progress. */
// deno-lint-ignore no-explicit-any -- tests read the fields they expect
export async function nextEvent(client: Client): Promise<[string, any]> {
  for (;;) {
    const { type, data } = await client.nextJson();
    if (type !== "query:progress") return [type, data];
  }
}

/** Where queries can run. */
export const EVERYWHERE = ["process", "worker"] as const satisfies RunIn[];

/** Returns the code that a promise rejects with or a function throws; "none" if neither does. */
export async function codeOf(work: Promise<unknown> | (() => unknown)): Promise<string> {
  try {
    await (typeof work === "function" ? work() : work);
  } catch (error) {
    assert(error instanceof PlugboardError, String(error));
    return error.code;
  }
  return "none";
}
