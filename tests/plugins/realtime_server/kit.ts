import { type JWTPayload, SignJWT } from "jose";
import { type RealtimeConfig, RealtimeServer } from "../../../plugins/servers/realtime_server.ts";
import { Client } from "../../kit/mod.ts";

/** The secret of the tests' issuer. */
export const SECRET = "a secret of thirty-two bytes or more";

/** A token as other makers' libraries sign it. */
export function token(claims: JWTPayload, secret = SECRET): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg: "HS256" }).sign(new TextEncoder().encode(secret));
}

/** A server that is stopped at the end of the block; it listens if told a port. */
export async function realtime(
  config: RealtimeConfig = {},
): Promise<RealtimeServer & AsyncDisposable> {
  const server = new RealtimeServer({ port: false, ...config });
  server.use({ name: "quiet", log() {} });
  await server.start();
  return Object.assign(server, { [Symbol.asyncDispose]: () => server.stop() });
}

/** Somebody with a socket who hears a channel. */
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
