import assert from "node:assert/strict";
import type { Endpoint, Upgrade } from "../../../core/mod.ts";
import { type AppUser, auth, type AuthOptions } from "../../../plugins/auth.ts";
import { serveAuth, token } from "./kit.ts";

/** The request of a client without credentials, from this machine. */
function request(endpoint: Endpoint): Upgrade {
  const headers = new Headers({ host: "localhost" });
  const where = { url: "http://localhost/x", params: {}, ip: "127.0.0.1" };
  return { connectionId: "c", endpoint, ...where, headers, offered: [], protocol: undefined };
}

const connection = { id: "c", ip: "127.0.0.1", open: true } as Parameters<
  ReturnType<typeof auth>["api"]["connect"]
>[0];

Deno.test("the sign-in of a client without credentials waits for nothing: each promise delays all that connect", () => {
  const endpoint: Endpoint = { name: "x", path: "/x", open: () => ({ message() {} }) };
  const table: [name: string, options: AuthOptions][] = [
    ["without sign-in", {}],
    ["with anonymous clients", {
      anonymous: true,
      jwt: { secret: "a secret of forty bytes, for this table.." },
    }],
  ];
  for (const [name, options] of table) {
    const { upgrade, open, api } = auth({ ...options });
    api.signsInByMessage(endpoint);
    const asked = request(endpoint);
    assert.equal(upgrade!(asked), undefined, name);
    open!(connection, asked);
    const signIn = api.connect(connection);
    assert.equal(signIn instanceof Promise, false, name);
    assert.equal(api.identityOf(connection), (signIn as Awaited<typeof signIn>).identity, name);
  }
});

Deno.test("the app's own check may return what only behaves like a promise, as database clients do", async () => {
  const found: AppUser = { user: "ann" };
  const query = (user: AppUser | undefined) =>
    ({ then: (resolve: (user: AppUser | undefined) => void) => resolve(user) }) as Promise<
      AppUser | undefined
    >;
  await using server = await serveAuth({
    jwt: { secret: "a secret of the tests, forty bytes long." },
    signIn: ({ headers }) => query(headers.get("x-user") === "ann" ? found : undefined),
  });
  await using ann = await server.connect("/me", [], { "x-user": "ann" });
  assert.deepEqual(await ann.nextJson(), { user: "ann" });
  await using bob = await server.connect(`/me?token=${await token({ sub: "bob" })}`);
  assert.deepEqual(await bob.nextJson(), { user: "bob" });
});
