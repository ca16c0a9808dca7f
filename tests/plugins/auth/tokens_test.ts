import assert from "node:assert/strict";
import { exportPKCS8, exportSPKI, generateKeyPair, importPKCS8, type JWTPayload, SignJWT } from "jose";
import { type JwtOptions, tokenVerifier } from "../../../plugins/auth/tokens.ts";
import { auth } from "../../../plugins/auth.ts";
import { codeOf, SECRET, token } from "./kit.ts";
import { busyMs, slowdown } from "../../kit/mod.ts";

const NOW = 1_700_000_000_000;
const SECONDS = NOW / 1000;

async function verify(jwt: string, options: JwtOptions = { secret: SECRET }, now = NOW): Promise<JWTPayload> {
  return await tokenVerifier(options).verify(jwt, now);
}

const refusal = (jwt: string, options?: JwtOptions) => codeOf(verify(jwt, options));

/** Makes a token by hand, as an attacker does. */
async function forged(header: unknown, claims: unknown, key: string, hash = "SHA-256"): Promise<string> {
  const encode = (value: unknown) =>
    new TextEncoder().encode(JSON.stringify(value)).toBase64({ alphabet: "base64url", omitPadding: true });
  const input = `${encode(header)}.${encode(claims)}`;
  const algorithm = { name: "HMAC", hash };
  const raw = new TextEncoder().encode(key);
  const hmac = await crypto.subtle.importKey("raw", raw, algorithm, false, ["sign"]);
  const signature = new Uint8Array(await crypto.subtle.sign("HMAC", hmac, new TextEncoder().encode(input)));
  return `${input}.${signature.toBase64({ alphabet: "base64url", omitPadding: true })}`;
}

Deno.test("S07 every algorithm is verified with its own type of key", async (t) => {
  for (const alg of ["HS256", "HS384", "HS512"]) {
    const secret = SECRET.repeat(2);
    assert.equal((await verify(await token({ sub: "a" }, { alg, secret }), { secret })).sub, "a", alg);
  }
  for (const alg of ["RS256", "RS384", "RS512", "PS256", "PS512", "ES256", "ES384", "ES512", "EdDSA"]) {
    await t.step(alg, async () => {
      const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
      const pem = await exportSPKI(publicKey);
      const jwt = await new SignJWT({ sub: "a" }).setProtectedHeader({ alg }).sign(privateKey);
      assert.equal((await verify(jwt, { publicKey: pem })).sub, "a");
      const other = await generateKeyPair(alg, { extractable: true });
      assert.equal(await refusal(jwt, { publicKey: await exportSPKI(other.publicKey) }), "invalid_token");
      assert.equal(await refusal(jwt, { publicKey: pem, algorithms: ["HS256"] }), "invalid_token");
    });
  }
});

Deno.test("the public key of the token's type is used", async () => {
  const pairs = await Promise.all(
    ["RS256", "ES256", "ES384", "EdDSA", "ES256"].map((alg) => generateKeyPair(alg, { extractable: true })),
  );
  const publicKey = await Promise.all(pairs.map((pair) => exportSPKI(pair.publicKey)));
  for (const [i, alg] of ["PS256", "ES256", "ES384", "EdDSA", "ES256"].entries()) {
    const key = alg === "PS256"
      ? await importPKCS8(await exportPKCS8(pairs[i]!.privateKey), alg)
      : pairs[i]!.privateKey;
    const jwt = await new SignJWT({ sub: alg }).setProtectedHeader({ alg }).sign(key);
    assert.equal((await verify(jwt, { publicKey })).sub, alg);
  }
});

Deno.test("a token cannot choose the key that verifies it", async () => {
  const { publicKey, privateKey } = await generateKeyPair("RS256", { extractable: true });
  const pem = await exportSPKI(publicKey);
  const claims = { sub: "admin" };
  const both: JwtOptions = { secret: SECRET, publicKey: pem };

  // The public key, which is not secret, used as an HMAC secret.
  for (const key of [pem, pem.trim(), pem.replace(/-----.*?-----|\s/g, "")]) {
    assert.equal(
      await refusal(await forged({ alg: "HS256" }, claims, key), { publicKey: pem }),
      "invalid_token",
    );
    assert.equal(await refusal(await forged({ alg: "HS256" }, claims, key), both), "invalid_token");
  }
  // No signature, with all spellings of `none`.
  for (const alg of ["none", "None", "NONE", "nOnE", ""]) {
    const [header, payload] = (await forged({ alg }, claims, "x")).split(".");
    for (const jwt of [`${header}.${payload}.`, `${header}.${payload}`, `${header}.${payload}.AAAA`]) {
      assert.equal(await refusal(jwt, both), "invalid_token", alg);
    }
  }
  // The algorithm swapped after signing.
  const rs256 = await new SignJWT(claims).setProtectedHeader({ alg: "RS256" }).sign(privateKey);
  const [, payload, signature] = rs256.split(".");
  for (const alg of ["HS256", "ES256", "PS256", "none"]) {
    const header = (await forged({ alg }, {}, "x")).split(".")[0];
    assert.equal(await refusal(`${header}.${payload}.${signature}`, both), "invalid_token", alg);
  }
  // Keys and URLs of keys in the token's header.
  const embedded = {
    jwk: { kty: "oct", k: "c2VjcmV0" },
    jku: "http://127.0.0.1:1/keys",
    x5u: "http://127.0.0.1:1/cert",
    kid: "../../../../dev/null",
  };
  assert.equal(
    await refusal(await forged({ alg: "HS256", ...embedded }, claims, "secret"), both),
    "invalid_token",
  );
  // A critical header.
  assert.equal(
    await refusal(await forged({ alg: "HS256", crit: ["x"], x: 1 }, claims, SECRET)),
    "invalid_token",
  );
  assert.equal(await refusal(await forged({ alg: ["HS256"] }, claims, SECRET)), "invalid_token");
});

Deno.test("time claims are checked with a small tolerance", async () => {
  assert.equal(await refusal(await token({ sub: "a", exp: SECONDS - 6 })), "token_expired");
  assert.equal((await verify(await token({ sub: "a", exp: SECONDS - 4 }))).sub, "a");
  assert.equal(await refusal(await token({ sub: "a", nbf: SECONDS + 6 })), "token_expired");
  assert.equal((await verify(await token({ sub: "a", nbf: SECONDS + 4 }))).sub, "a");
  for (const exp of ["soon", {}, null, -1e400]) {
    assert.equal(await refusal(await forged({ alg: "HS256" }, { sub: "a", exp }, SECRET)), "invalid_token");
    assert.equal(
      await refusal(await forged({ alg: "HS256" }, { sub: "a", nbf: exp }, SECRET)),
      "invalid_token",
    );
  }
});

Deno.test("an expired token with a wrong signature is invalid, not expired", async () => {
  const jwt = await token({ sub: "a", exp: SECONDS - 60 }, { secret: "another secret of thirty-two bytes" });
  assert.equal(await refusal(jwt), "invalid_token");
});

Deno.test("issuer and audience are checked if they are configured", async () => {
  const options: JwtOptions = {
    secret: SECRET,
    issuer: "https://id.example.com",
    audience: ["realtime", "api"],
  };
  const good = { sub: "a", iss: "https://id.example.com", aud: "api" };
  assert.equal((await verify(await token(good), options)).sub, "a");
  assert.equal((await verify(await token({ ...good, aud: ["x", "realtime"] }), options)).sub, "a");
  const bad: JWTPayload[] = [
    { ...good, aud: "other" },
    { ...good, iss: "https://evil.com" },
    { ...good, iss: "https://id.example.com/" },
    { sub: "a", iss: good.iss },
    { sub: "a", aud: "api" },
  ];
  for (const claims of bad) assert.equal(await refusal(await token(claims), options), "invalid_token");
});

Deno.test("during the rotation of a secret, tokens of both are valid", async () => {
  const next = "the next secret, which has enough bytes";
  const options: JwtOptions = { secret: [next, SECRET] };
  assert.equal((await verify(await token({ sub: "old" }), options)).sub, "old");
  assert.equal((await verify(await token({ sub: "new" }, { secret: next }), options)).sub, "new");
  assert.equal(
    await refusal(await token({ sub: "a" }, { secret: "neither of the two, but long enough" }), options),
    "invalid_token",
  );
});

Deno.test("malformed and large tokens are refused quickly", async () => {
  const jwt = await token();
  const garbage = [
    "",
    "a",
    "..",
    "...",
    "a.b.c",
    jwt + ".x",
    jwt.slice(0, -1),
    jwt + "A",
    " " + jwt,
    jwt.replace(".", ". "),
    "e30.e30.e30",
    "\u0000",
    "é.é.é",
  ];
  for (const each of garbage) assert.equal(await refusal(each), "invalid_token", each);
  const long = await token({ sub: "a", info: "x".repeat(8_192) });
  assert.equal(await refusal(long), "invalid_token");
  assert.equal((await verify(long, { secret: SECRET, maxTokenLength: 20_000 })).sub, "a");
  const huge = `${jwt.split(".")[0]}.${"A".repeat(1_000_000)}.AAAA`;
  const before = busyMs();
  for (let i = 0; i < 100; i++) assert.equal(await refusal(huge), "invalid_token");
  assert.ok((busyMs() - before) / 100 < slowdown(), "a megabyte is refused unread");
});

Deno.test("invalid keys throw with a reason", async () => {
  const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
  const wrong: [JwtOptions, RegExp][] = [
    [{}, /"jwt" must be given a secret, a publicKey or a jwks/],
    [{ secret: "" }, /"jwt.secret" must be a non-empty secret/],
    [{ publicKey: "not PEM" }, /"jwt.publicKey" is not PEM/],
    [{ publicKey: await exportPKCS8(privateKey) }, /must be a public key/],
    [{ secret: SECRET, algorithms: ["none" as "HS256"] }, /"jwt.algorithms" must be one of/],
    [{ secret: SECRET, clockToleranceMs: -1 }, /"jwt.clockToleranceMs"/],
    [{ jwks: "not a url" }, /"jwks.url" must be/],
    [{ jwks: "file:///etc/passwd" }, /"jwks.url" must be/],
    [{ jwks: "ftp://user:geheim@host/" }, /"jwks.url" must be .*, got "something else"$/],
    [
      { jwks: "https://user:geheim@host/" },
      /"jwks.url" must be .* without a user name, got "something else"$/,
    ],
  ];
  for (const [jwt, message] of wrong) assert.throws(() => auth({ jwt }), message);
  auth({ jwt: { publicKey: await exportSPKI(publicKey) } });
});
