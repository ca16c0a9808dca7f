import { type JWTPayload, SignJWT } from "jose";
import {
  type AnyPlugin,
  closeCode,
  type Endpoint,
  PlugboardError,
  type Plugin,
  Server,
} from "../../../core/mod.ts";
import { type Access, auth, type AuthOptions } from "../../../plugins/auth.ts";
import {
  type Client,
  type ClientClosed,
  type FakeClock,
  started,
  type TestServer,
  until,
  within,
} from "../../kit/mod.ts";

/** The secret of the tests' issuer. */
export const SECRET = "a secret of the tests, forty bytes long.";

/** Makes a token as the app's backend does. */
export function token(
  claims: JWTPayload = { sub: "alice" },
  { secret = SECRET, alg = "HS256" }: { secret?: string; alg?: string } = {},
): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg }).sign(new TextEncoder().encode(secret));
}

/** Returns the code of the error that is thrown. */
export async function codeOf(work: Promise<unknown> | (() => unknown)): Promise<string> {
  try {
    await (typeof work === "function" ? work() : work);
  } catch (error) {
    if (error instanceof PlugboardError) return error.code;
    throw error;
  }
  throw new Error("Nothing was thrown");
}

/** Waits for the end of the connection. */
export function closed(client: Client): Promise<ClientClosed> {
  return within("the close", client.closed);
}

/** Advances the clock until the work is done. */
export async function passing<T>(clock: FakeClock, work: Promise<T>): Promise<T> {
  let done = false;
  work.finally(() => done = true).catch(() => {});
  await until("the work", () => {
    clock.advance(50);
    return done;
  });
  return await work;
}

/** `/me`: its clients send credentials with the request, and get their user id. */
export function me(access: Access): Plugin {
  return {
    name: "me",
    endpoints: [{
      name: "me",
      path: ["/me", "/me/:path"],
      upgrade: (upgrade) =>
        upgrade.params["path"] === undefined
          ? undefined
          : access.refusal(upgrade, "write", upgrade.params["path"]),
      open(conn) {
        const { user } = access.identityOf(conn) ?? { user: null };
        conn.send(JSON.stringify({ user }));
        return { message: (data) => void conn.send(data) };
      },
    }],
  };
}

/** `/by_message`: its clients sign in by a message, like those of the Centrifuge protocol. */
export function byMessage(access: Access): Plugin {
  const endpoint: Endpoint = {
    name: "by_message",
    path: "/by_message",
    open(conn) {
      const say = (what: unknown) => void conn.send(JSON.stringify(what));
      const expiring = (expiresAt: number) => say({ expiring: expiresAt });
      return {
        async message(data) {
          const { connect, refresh, user } = JSON.parse(data);
          try {
            const { identity, permissions } = refresh === undefined
              ? await access.connect(conn, { token: connect, user, expiring })
              : await access.refresh(conn, refresh);
            say({ user: identity.user, permissions, expiresAt: identity.expiresAt });
          } catch (error) {
            if (!(error instanceof PlugboardError)) throw error;
            say({ error: error.code, message: error.message });
            if (error.code === "invalid_token") conn.close(closeCode(3500, "invalid token"));
          }
        },
      };
    },
  };
  return { name: "by_message", endpoints: [endpoint], start: () => access.signsInByMessage(endpoint) };
}

/** A server with sign-in and the two test protocols. */
export async function serveAuth(
  options: AuthOptions = { jwt: { secret: SECRET } },
  { clock, clientIp, hostname, more = () => [] }: {
    clock?: FakeClock;
    hostname?: string;
    clientIp?: (request: Request, peer: string) => string;
    more?: (access: Access) => AnyPlugin[];
  } = {},
): Promise<TestServer & { readonly access: Access }> {
  const server = new Server({
    port: 0,
    drainMs: 1_000,
    ...(clock && { clock }),
    ...(clientIp && { clientIp }),
    ...(hostname !== undefined && { hostname }),
  });
  const access = server.use(auth(options));
  for (const plugin of [me(access), byMessage(access), ...more(access)]) server.use(plugin);
  return Object.assign(await started(server), {
    access,
    ...(clock && { [Symbol.asyncDispose]: stopping(server, clock) }),
  });
}

/** Stops a server with a fake clock: it closes the connections one after the other. */
export function stopping(server: Server, clock: FakeClock): () => Promise<void> {
  return () => passing(clock, server.stop());
}

/** Returns the response to a refused upgrade. */
export async function refusedUpgrade(
  server: TestServer,
  path: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; code: string; headers: Headers }> {
  const handshake = {
    upgrade: "websocket",
    connection: "upgrade",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    "sec-websocket-version": "13",
  };
  const response = await server.fetch(path, { headers: { ...handshake, ...headers } });
  const { error } = await response.json();
  return { status: response.status, code: error.code, headers: response.headers };
}
