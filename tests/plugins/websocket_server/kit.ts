import { WebSocketServer, type WebSocketServerConfig } from "../../../plugins/servers/websocket_server.ts";
import { Client } from "../../kit/mod.ts";

/** Starts a server on a free port that stops at the end of the block. */
export async function websocketServer(
  config: WebSocketServerConfig = {},
): Promise<WebSocketServer & AsyncDisposable> {
  const server = new WebSocketServer({ port: 0, ...config });
  server.use({ name: "quiet", log() {} });
  await server.start();
  return Object.assign(server, { [Symbol.asyncDispose]: () => server.stop() });
}

/** Connects and reads the first messages: the acknowledgement, the subscriptions, and its own join. */
export async function connect(
  to: WebSocketServer | string,
  { user, channels = 4 }: { user?: string; channels?: number } = {},
): Promise<{ client: Client; id: string }> {
  const url = typeof to === "string" ? to : to.url;
  const client = await Client.connect(user === undefined ? url : `${url}?userId=${user}`);
  const { data: { clientId } } = await client.nextJson();
  for (let i = 0; i < channels; i++) await client.nextJson();
  if (channels === 4) await client.nextJson();
  return { client, id: clientId };
}

/** Reads the next message. Resolves to its type, channel and data. Skips heartbeats, which come first on a slow machine. */
// deno-lint-ignore no-explicit-any -- tests look into what they expect
export async function next(client: Client): Promise<[string, string, any]> {
  for (;;) {
    const { type, channel, data } = await client.nextJson();
    if (type !== "heartbeat") return [type, channel, data];
  }
}
