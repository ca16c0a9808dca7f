import assert from "node:assert/strict";
import { originCheck, type OriginOptions } from "../../plugins/shared/origins.ts";

function allows(
  { exposed = true, ...options }: Partial<Omit<OriginOptions, "exposed"> & { exposed: boolean }>,
  origin: string | undefined,
  host = "api.example.com",
): boolean {
  const { allowsOrigin } = originCheck("auth", {
    allowed: [],
    exposed: () => exposed,
    open: false,
    ...options,
  });
  return allowsOrigin(new Headers({ host, ...(origin !== undefined && { origin }) }));
}

Deno.test("an origin must be listed or the server's own", () => {
  const allowed = ["https://app.example.com", "http://localhost:3000", "https://*.example.org"];
  for (
    const good of [
      "https://app.example.com",
      "http://localhost:3000",
      "https://api.example.com", // the server's own
      "http://api.example.com",
      "https://a.example.org",
      "https://a.b.example.org",
      undefined, // not a browser
    ]
  ) assert.equal(allows({ allowed }, good), true, good);
  for (
    const bad of [
      "https://app.example.com.evil.com",
      "https://evil-example.com",
      "https://evilapp.example.com",
      "http://app.example.com", // another scheme
      "https://app.example.com:8443",
      "https://example.org", // the wildcard needs a label
      "https://.example.org",
      "https://evil-example.org",
      "https://evil.com/.example.org",
      "https://evil.com#.example.org",
      "https://evil.com?.example.org",
      "https://evil.com\\.example.org",
      "https://user@a.example.org",
      "https://evil.com:443/a.example.org",
      "https://a..example.org",
      "http://localhost:3001",
      "http://localhost",
      "null",
      "",
      "file://",
      "https://",
      "chrome-extension://abc",
      "https://api.example.com.evil.com",
      "https://api.example.com:8080", // the server's name, another port
    ]
  ) assert.equal(allows({ allowed }, bad), false, bad);
});

Deno.test("the default port of the scheme may be omitted", () => {
  assert.equal(allows({}, "https://api.example.com", "api.example.com:443"), true);
  assert.equal(allows({}, "http://api.example.com", "api.example.com:80"), true);
  assert.equal(allows({}, "http://api.example.com", "api.example.com:443"), false);
  assert.equal(allows({}, "https://api.example.com:8443", "api.example.com:8443"), true);
});

Deno.test("null and any origin are allowed only if they are listed", () => {
  assert.equal(allows({ allowed: ["null"] }, "null"), true);
  assert.equal(allows({ allowed: ["*"] }, "https://evil.com"), true);
  assert.equal(allows({ allowed: ["*"] }, "null"), true);
});

Deno.test("on loopback, pages of this machine are allowed, others are not", () => {
  for (const open of [true, false]) {
    for (
      const good of [
        "http://localhost:5173",
        "http://127.0.0.1:3000",
        "http://[::1]:3000",
        "http://app.localhost",
      ]
    ) assert.equal(allows({ exposed: false, open }, good, "127.0.0.1:8080"), true, good);
    for (
      const bad of ["https://evil.com", "null", "http://localhost.evil.com", "http://127.0.0.1.evil.com"]
    ) {
      assert.equal(allows({ exposed: false, open }, bad, "127.0.0.1:8080"), false, bad);
    }
  }
});

Deno.test("a DNS-rebinding page is refused on a server without sign-in", () => {
  assert.equal(allows({ exposed: false, open: true }, "http://evil.com", "evil.com"), false);
  const { allowsHost } = originCheck("auth", { allowed: [], exposed: () => false, open: true });
  assert.equal(allowsHost(new Headers({ host: "evil.com" })), false);
  assert.equal(allowsHost(new Headers({ host: "localhost:8080" })), true);
  assert.equal(allowsHost(new Headers({ host: "[::1]:8080" })), true);
  const signedIn = originCheck("auth", { allowed: [], exposed: () => false, open: false });
  assert.equal(signedIn.allowsHost(new Headers({ host: "behind-a-proxy.com" })), true);
});

Deno.test("an invalid pattern throws", () => {
  for (
    const bad of ["example.com", "https://*", "https://a.*.com", "https://*.*.com", "ftp://a.com", "*.a.com"]
  ) {
    assert.throws(() => allows({ allowed: [bad] }, "https://a.com"), /"origins" must be/, bad);
  }
});
