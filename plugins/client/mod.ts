/**
 * The client: stores for live queries, channels and presence, and calls, over the official SDK. It needs no build step: a
 * server with the plugin `client` serves it as `/plugboard.js`.
 *
 * ```ts ignore
 * import { Centrifuge } from "centrifuge";
 * import { call, live, type Serves } from "@plugboard/server/client";
 * import type { Api } from "./server.ts";
 *
 * const client: Centrifuge & Serves<Api> = new Centrifuge("ws://127.0.0.1:8080/connection/websocket");
 * client.connect();
 * live(client, "ordersByStatus", { status: "pending" }).subscribe(({ rows }) => console.log(rows));
 * await call(client, "addOrder", { customer: "Ada", total: 12.5 });
 * ```
 *
 * `Api` is the type of an object `{ methods, mutations, queries }` whose members are made by `method`, `mutation` and
 * `query`. Without it, names and values have any types.
 *
 * @module
 */

export { call, CallError, type CallOptions } from "./call.ts";
export { channel, type ChannelOptions, type ChannelState, type ChannelStore } from "./channel.ts";
export { live, type LiveState, type Status } from "./live.ts";
export { presence, type PresenceState } from "./presence.ts";
export type { Store } from "./store.ts";
export type * from "./types.ts";
