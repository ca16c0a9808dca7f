import { type JWTPayload, SignJWT } from "jose";
import { type RealtimeConfig, RealtimeServer } from "../../../plugins/servers/realtime_server.ts";
import { Client } from "../../kit/mod.ts";

/** The secret the tests sign tokens with. */
export const SECRET = "a secret of thirty-two bytes or more";

/** Signs a token. */
export function token(claims: JWTPayload, secret = SECRET): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg: "HS256" }).sign(new TextEncoder().encode(secret));
}

/** Starts a server that stops at the end of the block. It listens if `config` has a port. */
export async function realtime(
  config: RealtimeConfig = {},
): Promise<RealtimeServer & AsyncDisposable> {
  const server = new RealtimeServer({ port: false, ...config });
  server.use({ name: "quiet", log() {} });
  await server.start();
  return Object.assign(server, { [Symbol.asyncDispose]: () => server.stop() });
}

/** Connects a client and subscribes it to a channel. */
export async function listener(
  server: RealtimeServer,
  channel: string,
  query = "",
): Promise<{ client: Client; id: string }> {
  const client = await Client.connect(`${server.url}/ws${query}`);
  const { data: { clientId } } = await client.nextJson();
  client.sendJson({ type: "subscribe", channel });
  await client.nextJson();
  return { client, id: clientId };
}
