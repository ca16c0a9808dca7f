/** A server with a contract, and clients of the official SDK. */

import type { Centrifuge, Options } from "centrifuge";
import { z } from "zod";
import type { AnyPlugin } from "../../../core/mod.ts";
import { channels } from "../../../plugins/channels.ts";
import { client as clientModules } from "../../../plugins/client.ts";
import type { Serves, Store } from "../../../plugins/client/mod.ts";
import { liveQueries, query } from "../../../plugins/live_queries.ts";
import { mutation, mutations } from "../../../plugins/mutations.ts";
import { persistence } from "../../../plugins/persistence.ts";
import { presence } from "../../../plugins/presence.ts";
import { centrifuge } from "../../../plugins/protocols/centrifuge.ts";
import { method, rpc } from "../../../plugins/rpc.ts";
import { sdkClient } from "../../kit/centrifuge.ts";
import { serve } from "../../kit/mod.ts";
import { until } from "../../kit/wait.ts";

export const api = {
  methods: {
    add: method({ args: z.object({ a: z.number(), b: z.number() }), run: ({ a, b }) => a + b }),
    now: method({ run: () => ({ at: new Date(0), zone: "UTC" }) }),
  },
  mutations: {
    addOrder: mutation({
      args: z.object({
        customer: z.string().min(1),
        status: z.enum(["pending", "shipped"]).default("pending"),
      }),
      run: (tx, { customer, status }) =>
        tx.run("INSERT INTO orders (customer, status) VALUES (?, ?)", [customer, status]).lastId,
    }),
  },
  queries: {
    orders: query({
      sql: "SELECT id, customer FROM orders WHERE status = :status ORDER BY id",
      params: z.object({ status: z.enum(["pending", "shipped"]) }),
      rows: z.object({ id: z.number(), customer: z.string() }),
    }),
    all: query({ sql: "SELECT id, customer, status FROM orders ORDER BY id" }),
    secret: query({ sql: "SELECT id FROM orders", allow: () => false }),
  },
};

export type Api = typeof api;

/** Starts a server with the contract, and more plugins. */
export async function serveApi(...more: AnyPlugin[]) {
  const store = persistence({ path: ":memory:" });
  const bus = channels();
  const people = presence({ channels: bus.api });
  const methods = rpc();
  const queries = liveQueries({ store: store.api, channels: bus.api });
  const changes = mutations({ store: store.api, rpc: methods.api, queries: queries.api });
  const protocol = centrifuge({ channels: bus.api, presence: people.api, rpc: methods.api });
  const server = await serve(
    {},
    store,
    bus,
    people,
    methods,
    queries,
    changes,
    protocol,
    clientModules(),
    ...more,
  );
  await store.api.exec("CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT UNIQUE, status TEXT)");
  methods.api.defineAll(api.methods);
  changes.api.defineAll(api.mutations);
  queries.api.defineAll(api.queries);
  return Object.assign(server, { store: store.api, bus: bus.api, queries: queries.api });
}

/** A connected client of the SDK, with the types of the server. */
export function connected(url: string, options?: Partial<Options>) {
  const { sdk, ...rest } = sdkClient(url, "websocket", options);
  sdk.connect();
  return { ...rest, client: sdk as Centrifuge & Serves<Api> };
}

/** Follows a store. */
export function follow<State extends { readonly status: string }>(store: Store<State>) {
  const states: State[] = [];
  const stop = store.subscribe((state) => void states.push(state));
  return {
    states,
    stop,
    get latest(): State {
      return states.at(-1)!;
    },
    until: (what: string, holds: (state: State) => boolean) => until(what, () => holds(states.at(-1)!)),
    /** Waits for the end, which comes a moment later. */
    async [Symbol.asyncDispose]() {
      stop();
      await until("the end of the store", () => store.getSnapshot().status === "loading");
    },
  };
}
