import assert from "node:assert/strict";
import { type Channels, channels, type ChannelsOptions } from "../../../plugins/channels.ts";
import { channelProtocol } from "../../kit/channel_protocol.ts";
import { type Client, serve, type TestServer } from "../../kit/mod.ts";
import type { Surroundings } from "../../kit/remote.ts";

/** A server with channels, and with {@linkcode channelProtocol}. */
export type ChannelServer = TestServer & { readonly bus: Channels };

/** Starts a server with channels. */
export async function serveChannels(
  { broker, cluster, patient }: Surroundings,
  options: ChannelsOptions = {},
): Promise<ChannelServer> {
  const shared = cluster();
  const plugin = channels({ broker: broker(), ...(shared && { cluster: shared }), ...options });
  const server = await serve({}, plugin, channelProtocol(plugin.api));
  return Object.assign(server, { bus: patient(plugin.api) });
}

/** Connects a client and subscribes it. */
export async function subscribed(
  server: ChannelServer,
  channel: string,
  request: object = {},
  user = "",
): Promise<Client> {
  const client = await server.connect(`/t?user=${user}`);
  const reply = await ask(client, { do: "subscribe", channel, ...request });
  assert.equal(reply.subscribed, channel);
  return client;
}

/** Sends a command and returns the reply. Repeats it if a remote service was unavailable. */
export async function ask(client: Client, command: object) {
  for (let tries = 1;; tries++) {
    client.sendJson(command);
    const reply = await client.nextJson();
    if (reply.error !== "unavailable" || tries === 100) return reply;
  }
}

/** Waits for a message in the log. */
export async function logged(server: TestServer, message: RegExp) {
  for (;;) {
    const record = await server.log.next(`${message} in the log`);
    if (message.test(record.message)) return record;
  }
}
