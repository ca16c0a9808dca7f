// The server's side of the contract: the app imports its type alone.
import { query } from "@plugboard/server/live_queries";
import { mutation } from "@plugboard/server/mutations";
import { method } from "@plugboard/server/rpc";
import { z } from "zod";

export const api = {
  methods: {
    add: method({ args: z.object({ a: z.number(), b: z.number() }), run: ({ a, b }) => a + b }),
  },
  mutations: {
    addOrder: mutation({
      args: z.object({ customer: z.string() }),
      run: (tx, { customer }) =>
        Number(tx.run("INSERT INTO orders (customer) VALUES (?)", [customer]).lastId),
    }),
  },
  queries: {
    orders: query({
      sql: "SELECT id, customer FROM orders WHERE status = :status",
      params: { status: "string" },
      rows: z.object({ id: z.number(), customer: z.string() }),
    }),
  },
};
export type Api = typeof api;
