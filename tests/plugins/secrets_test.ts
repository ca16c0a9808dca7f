import fc from "fast-check";
import assert from "node:assert/strict";
import { findSecrets } from "../../plugins/shared/secrets.ts";
import { least } from "../kit/mod.ts";

const JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----";

Deno.test("fields with secrets are recognized by their names", () => {
  const { named } = findSecrets(["pin", "a.b"]);
  for (
    const name of [
      "token",
      "access_token",
      "refreshToken",
      "JWT_SECRET",
      "clientSecret",
      "password",
      "passwd",
      "passphrase",
      "Authorization",
      "proxy-authorization",
      "cookie",
      "Set-Cookie",
      "apiKey",
      "api_keys",
      "x-api-key",
      "privateKey",
      "credentials",
      "signature",
      "PIN",
      "a.b",
    ]
  ) assert(named(name), name);
  for (const name of ["key", "user", "channel", "author", "code", "path", "acb", "compass"]) {
    assert(!named(name), name);
  }
});

Deno.test("secrets within a text are removed, the rest is kept", () => {
  const { removedFrom } = findSecrets(["ticket"]);
  for (
    const [text, expected] of [
      ["GET /ws?token=abc&room=1 refused", "GET /ws?token=[redacted]&room=1 refused"],
      ["/ws?access_token=a%20b;x=1", "/ws?access_token=[redacted];x=1"],
      ["/ws?ticket=abc", "/ws?ticket=[redacted]"],
      ["/sse?cf_connect=%7B%22token%22%3A%22abc%22%7D", "/sse?cf_connect=%7B%22token%22%3A[redacted]%22%7D"],
      ['{"token":"a b","user":"ann"}', '{"token":[redacted]","user":"ann"}'],
      [
        '{"data":"{\\"token\\":\\"a b\\",\\"user\\":\\"ann\\"}"}',
        '{"data":"{\\"token\\":[redacted]\\",\\"user\\":\\"ann\\"}"}',
      ],
      ['{"password":"a\\"b c","user":"ann"}', '{"password":[redacted]","user":"ann"}'],
      ['{"password":"a\\\\","user":"ann"}', '{"password":[redacted]","user":"ann"}'],
      [
        '{"data":"{\\"password\\":\\"a\\\\\\"b c\\",\\"user\\":\\"ann\\"}"}',
        '{"data":"{\\"password\\":[redacted]\\",\\"user\\":\\"ann\\"}"}',
      ],
      ['{"passcode":123456,"user":12345}', '{"passcode":[redacted],"user":12345}'],
      ['{"tokens":["a]b","c"],"user":"ann"}', '{"tokens":[redacted],"user":"ann"}'],
      ['{"tokens":[["a"],["b"]],"user":"ann"}', '{"tokens":[redacted],"user":"ann"}'],
      ['{"token": {"value":"a}b"}, "user":"ann"}', '{"token": [redacted], "user":"ann"}'],
      [
        '{"data":"{\\"tokens\\":[\\"a]\\",\\"b\\"],\\"n\\":1}"}',
        '{"data":"{\\"tokens\\":[redacted],\\"n\\":1}"}',
      ],
      ['{"tokens":["a', '{"tokens":[redacted]'],
      ['[["x-api-key","abc"],["n","1"]]', '[["x-api-key",[redacted]"],["n","1"]]'],
      ['{"tok\\u0065n":"abc"}', '{"token":[redacted]"}'],
      ['{"data":"{\\"\\\\u0074oken\\":\\"abc\\"}"}', '{"data":"{\\"token\\":[redacted]\\"}"}'],
      ["?tok%65n=abc&room=50%20off", "?token=[redacted]&room=50%20off"],
      ["{ password: 'a b', user: 'ann' }", "{ password: [redacted]', user: 'ann' }"],
      ["API_KEY=abc PORT=1", "API_KEY=[redacted] PORT=1"],
      ["the password: hunter2", "the password: [redacted]"],
      ["secret: correcthorsebatterystaple", "secret: [redacted]"],
      ["Authorization: Bearer abcdefgh12345", "Authorization: [redacted]"],
      ["sent Bearer abcdefgh12345 to us", "sent Bearer [redacted] to us"],
      ["authorization: ApiKey abc\nhost: here", "authorization: [redacted]\nhost: here"],
      ["Cookie: a=b; c=d\r\nhost: here", "Cookie: [redacted]\r\nhost: here"],
      [`verify ${JWT} failed`, "verify [redacted] failed"],
      [JWT.slice(0, 30), "[redacted]"],
      ["redis://ann:hunter2@cache:6379/0", "redis://ann:[redacted]@cache:6379/0"],
      [`key ${PEM} is wrong`, "key [redacted] is wrong"],
      [PEM.slice(0, 50), "[redacted]"],
    ] as const
  ) assert.equal(removedFrom(text), expected);
});

Deno.test("a text that only mentions secrets is unchanged", () => {
  const { removedFrom } = findSecrets();
  for (
    const text of [
      "invalid token: expired",
      '{"tokens":100}',
      '["password","user","age"]',
      '{"text":"caf\\u00e9 \\u0041"}',
      "invalid token: signature mismatch",
      'Cannot start auth: "jwt.secret" must be at least 32 characters, got 5',
      "the password is wrong",
      "no Authorization header",
      "http://127.0.0.1:8080/ws?room=1",
      "the key of row 17 is missing",
    ]
  ) assert.equal(removedFrom(text), text);
});

Deno.test("secrets are removed whatever surrounds them", () => {
  const { removedFrom } = findSecrets();
  const secret = fc.stringMatching(/^[A-Za-z0-9]{16,40}$/);
  const around = fc.string({ maxLength: 40 }).map((text) => text.replaceAll(/["'\\]/g, " "));
  const form = fc.constantFrom(
    (s: string) => `?token=${s}`,
    (s: string) => `"secret": "${s}"`,
    (s: string) => `password=${s}`,
    (s: string) => ` Bearer ${s}`,
    (s: string) => `x-api-key: ${s}1`,
    (s: string) => ` eyJ${s}.${s}.x`,
    (s: string) => ` https://user:${s}@host/`,
  );
  fc.assert(fc.property(around, form, secret, around, (before, write, value, after) => {
    assert(!removedFrom(`${before} ${write(value)} ${after}`).includes(value));
  }));
});

Deno.test("the time is linear in the length of the text", async () => {
  const { removedFrom } = findSecrets();
  const bestOf5 = (text: string) =>
    Math.min(...Array.from({ length: 5 }, () => {
      const start = performance.now();
      for (let i = 0; i < 5; i++) removedFrom(text);
      return performance.now() - start;
    }));
  for (
    const part of [
      "a",
      "token",
      "token:",
      "token: ",
      'token="',
      'token":1',
      'token="\\',
      'token\\"=\\"',
      '"token":[',
      '"token":["',
      '"token":[{"a',
      '["token",',
      '["token","a',
      "\\u0074oken",
      "eyJ",
      "://",
      "Bearer ",
      "-----BEGIN PRIVATE KEY-----",
    ]
  ) {
    // Sixteen times the length; quadratic time would be 256 times as long.
    const ratio = await least(80, () => {
      const short = bestOf5(part.repeat(2_000 / part.length));
      return bestOf5(part.repeat(32_000 / part.length)) / Math.max(short, 0.1);
    });
    assert(ratio < 80, `${JSON.stringify(part)}: ${ratio} times as long`);
  }
});
