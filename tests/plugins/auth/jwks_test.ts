import assert from "node:assert/strict";
import { exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";
import { type JwtOptions, type Tokens, tokenVerifier } from "../../../plugins/auth/tokens.ts";
import type { Log } from "../../../core/mod.ts";
import { FakeClock, until } from "../../kit/mod.ts";
import { codeOf } from "./kit.ts";

/** An identity provider under the control of the test. */
interface Provider extends AsyncDisposable {
  readonly url: string;
  /** Requests so far. */
  readonly requests: number;
  /** Its responses from now on. */
  answer: (request: Request) => Response | Promise<Response>;
  /** Publishes keys. */
  publish(...keys: Key[]): void;
}

interface Key {
  readonly jwk: JWK;
  sign(claims?: Record<string, unknown>): Promise<string>;
}

async function key(kid: string | undefined, alg = "ES256"): Promise<Key> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  const jwk = { ...await exportJWK(publicKey), alg, use: "sig", ...(kid !== undefined && { kid }) };
  return {
    jwk,
    sign: (claims = { sub: "alice" }) =>
      new SignJWT(claims).setProtectedHeader({ alg, ...(kid !== undefined && { kid }) }).sign(privateKey),
  };
}

function provider(...keys: Key[]): Provider {
  let requests = 0;
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    requests++;
    return own.answer(request);
  });
  const own: Provider = {
    url: `http://127.0.0.1:${server.addr.port}/keys`,
    get requests() {
      return requests;
    },
    answer: () => Response.json({ keys: [] }),
    publish: (...published) =>
      void (own.answer = () => Response.json({ keys: published.map(({ jwk }) => jwk) })),
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
  own.publish(...keys);
  return own;
}

const QUIET: Log = { debug() {}, info() {}, warn() {}, error() {} };

/** Verifies tokens with the provider's keys, from `start` to `stop`. */
function checked(
  { url }: Provider,
  clock: FakeClock,
  more: Partial<JwtOptions> = {},
  log: Log = QUIET,
): Tokens & Disposable & { of(jwt: string): Promise<string> } {
  const tokens = tokenVerifier({ jwks: { url, timeoutMs: 1_000 }, ...more });
  tokens.start(clock, log);
  return {
    ...tokens,
    /** The user, or the error's code. */
    of: async (jwt) => {
      const verified = tokens.verify(jwt, clock.wallTime());
      return await verified.then(({ sub }) => sub ?? "", () => codeOf(verified));
    },
    [Symbol.dispose]: () => tokens.stop(),
  };
}

Deno.test("keys of every type are fetched from a URL and cached", async () => {
  const kinds = await Promise.all(["RS256", "PS384", "ES256", "ES512", "EdDSA"].map((alg) => key(alg, alg)));
  await using idp = provider(...kinds);
  using tokens = checked(idp, new FakeClock());
  for (const each of kinds) assert.equal(await tokens.of(await each.sign()), "alice");
  assert.equal(idp.requests, 1);
});

Deno.test("a token without a key id is verified with every key of its type", async () => {
  const [a, b] = [await key(undefined), await key(undefined)];
  await using idp = provider(a, b);
  using tokens = checked(idp, new FakeClock());
  assert.equal(await tokens.of(await b.sign()), "alice");
  assert.equal(await tokens.of(await (await key(undefined)).sign()), "invalid_token");
});

Deno.test("a new key is fetched when its first token arrives", async () => {
  const [old, next] = [await key("old"), await key("next")];
  await using idp = provider(old);
  const clock = new FakeClock();
  using tokens = checked(idp, clock);
  assert.equal(await tokens.of(await old.sign()), "alice");
  idp.publish(next);
  clock.advance(10_000);
  assert.equal(await tokens.of(await next.sign()), "alice");
  assert.equal(await tokens.of(await old.sign()), "invalid_token", "the old key was withdrawn");
  assert.equal(idp.requests, 2);
});

Deno.test("thousands of unknown key ids cause only a few requests", async () => {
  const known = await key("known");
  await using idp = provider(known);
  const clock = new FakeClock();
  using tokens = checked(idp, clock);
  const unknown = await key("unknown");
  const signed = await unknown.sign();
  const [, payload, signature] = signed.split(".");
  for (let second = 0; second < 60; second++) {
    const flood = Array.from({ length: 50 }, (_, i) => {
      const header = btoa(JSON.stringify({ alg: "ES256", kid: `k${second}.${i}` })).replaceAll("=", "");
      return tokens.of(`${header}.${payload}.${signature}`);
    });
    assert.deepEqual(new Set(await Promise.all(flood)), new Set(["invalid_token"]));
    clock.advance(1_000);
  }
  assert.ok(idp.requests <= 7, `${idp.requests} requests in a minute`);
  assert.equal(await tokens.of(await known.sign()), "alice");
});

Deno.test("requests to a provider that is down back off, and find it again", async () => {
  const known = await key("known");
  await using idp = provider(known);
  idp.answer = () => new Response("down", { status: 503 });
  const clock = new FakeClock();
  const warnings: string[] = [];
  using tokens = checked(idp, clock, {}, { ...QUIET, warn: (message) => void warnings.push(message) });
  const jwt = await known.sign();
  assert.equal(await tokens.of(jwt), "unavailable");
  for (let i = 0; i < 600; i++) {
    assert.equal(await tokens.of(jwt), "unavailable");
    clock.advance(1_000);
  }
  assert.ok(idp.requests < 20, `${idp.requests} requests in ten minutes`);
  assert.equal(warnings.length, idp.requests);
  idp.publish(known);
  clock.advance(60_000);
  assert.equal(await tokens.of(jwt), "alice");
});

Deno.test("known keys stay valid for a day while the provider is down", async () => {
  const known = await key("known");
  await using idp = provider(known);
  const clock = new FakeClock();
  using tokens = checked(idp, clock);
  const jwt = await known.sign();
  assert.equal(await tokens.of(jwt), "alice");
  idp.answer = () => new Response("down", { status: 500 });
  clock.advance(23 * 3_600_000);
  assert.equal(await tokens.of(jwt), "alice");
  clock.advance(2 * 3_600_000);
  assert.equal(await tokens.of(jwt), "unavailable");
});

Deno.test("a request to a provider times out, and the next tokens do not wait", async () => {
  const known = await key("known");
  await using idp = provider(known);
  const { promise: never, resolve: release } = Promise.withResolvers<Response>();
  idp.answer = () => never;
  const clock = new FakeClock();
  using tokens = checked(idp, clock);
  const first = tokens.of(await known.sign());
  await until("the request", () => idp.requests === 1);
  clock.advance(1_000);
  assert.equal(await first, "unavailable");
  assert.equal(await tokens.of(await known.sign()), "unavailable", "immediately, without another request");
  assert.equal(idp.requests, 1);
  release(new Response());
});

Deno.test("an invalid response does not replace the known keys", async () => {
  const known = await key("known");
  await using idp = provider(known);
  const clock = new FakeClock();
  using tokens = checked(idp, clock);
  assert.equal(await tokens.of(await known.sign()), "alice");
  const eve = await key("known");
  const answers: Provider["answer"][] = [
    () => new Response("<html>"),
    () => new Response(""),
    () => Response.json(null),
    () => Response.json([]),
    () => Response.json({ keys: [] }),
    () => Response.json({ keys: "all of them" }),
    () => Response.json({ keys: [null, 1] }),
    () => new Response(new Uint8Array([0xff, 0xfe])),
    () => new Response("[".repeat(1_000_000)),
    () => new Response(null, { status: 204 }),
    () => Response.json({ keys: [eve.jwk], padding: "x".repeat(300_000) }),
    (request) =>
      request.url.endsWith("/elsewhere")
        ? Response.json({ keys: [eve.jwk] })
        : Response.redirect(new URL("/elsewhere", request.url)),
  ];
  for (const answer of answers) {
    idp.answer = answer;
    const before = idp.requests;
    clock.advance(700_000);
    assert.equal(await tokens.of(await known.sign()), "alice", String(answer));
    assert.ok(idp.requests > before, "there was a request");
  }
});

Deno.test("keys that are not for signatures verify nothing", async () => {
  const [good, encryption] = [await key("good"), await key("encryption")];
  const secret = { kty: "oct", kid: "secret", k: "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", alg: "HS256" };
  await using idp = provider();
  const broken = { kty: "EC", kid: "broken", crv: "P-256", x: "AA", y: "AA" };
  const keys = [good.jwk, { ...encryption.jwk, use: "enc" }, secret, broken];
  idp.answer = () => Response.json({ keys });
  using tokens = checked(idp, new FakeClock());
  assert.equal(await tokens.of(await good.sign()), "alice");
  assert.equal(await tokens.of(await encryption.sign()), "invalid_token");
  const hmac = await new SignJWT({ sub: "eve" }).setProtectedHeader({ alg: "HS256", kid: "secret" })
    .sign(Uint8Array.fromBase64("c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"));
  assert.equal(await tokens.of(hmac), "invalid_token", "a published secret is not secret");
  const onBroken = (await key("broken")).sign();
  assert.equal(await tokens.of(await onBroken), "invalid_token");
});

Deno.test("stopping aborts a pending request without a warning", async () => {
  await using idp = provider();
  const { promise: never, resolve: release } = Promise.withResolvers<Response>();
  idp.answer = () => never;
  const clock = new FakeClock();
  const warnings: string[] = [];
  const tokens = checked(idp, clock, {}, { ...QUIET, warn: (message) => void warnings.push(message) });
  const waiting = tokens.of(await (await key("a")).sign());
  await until("the request", () => idp.requests === 1);
  tokens.stop();
  assert.equal(await waiting, "unavailable");
  assert.deepEqual(warnings, []);
  assert.equal(clock.pending, 0);
  release(new Response());
});
