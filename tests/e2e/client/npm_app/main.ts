import { call, channel, live, type Serves } from "@plugboard/server/client";
import { Centrifuge } from "centrifuge";
import type { Api } from "./api.ts";

declare const Deno: { readonly args: string[] };
const client: Centrifuge & Serves<Api> = new Centrifuge(Deno.args[0]!);
client.connect();
const sum: number = await call(client, "add", { a: 1, b: 2 });
const id: number = await call(client, "addOrder", { customer: "ada" });
const orders = live(client, "orders", { status: "pending" });
const names = await new Promise<string[]>((resolve) => {
  orders.subscribe(({ rows, status }) => status === "live" && resolve(rows.map(({ customer }) => customer)));
});
await channel<string>(client, "chat:lobby").publish("hello");
console.log(JSON.stringify({ sum, id, names }));
client.disconnect();
