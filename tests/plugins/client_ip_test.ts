import assert from "node:assert/strict";
import { clientIpFrom, isLoopback } from "../../plugins/shared/client_ip.ts";
import { echo } from "../../plugins/protocols/echo.ts";
import { serve } from "../kit/mod.ts";

const PEER = "10.0.0.1";

function ipOf(
  headers: Record<string, string>,
  { peer = PEER, trusted = ["10.0.0.0/8", "fd00::/8"], header }: {
    peer?: string;
    trusted?: string[];
    header?: "forwarded";
  } = {},
): string {
  const request = new Request("http://test", { headers });
  return clientIpFrom({ trusted, ...(header && { header }) })(request, peer);
}

Deno.test("an address in a header is used only if a trusted proxy wrote it", () => {
  const table: [header: string, expected: string, peer?: string][] = [
    ["203.0.113.7", "203.0.113.7"],
    ["203.0.113.7", "198.51.100.1", "198.51.100.1"], // the peer is not a proxy: forged
    ["1.2.3.4, 203.0.113.7", "203.0.113.7"], // the client wrote the left one itself
    ["203.0.113.7, 10.0.0.9", "203.0.113.7"], // two proxies
    ["10.0.0.5, 10.0.0.9", "10.0.0.5"], // all are proxies
    ["203.0.113.7:5678", "203.0.113.7"],
    ["[2001:db8::7]:5678", "2001:db8::7"],
    ["2001:db8::7", "2001:db8::7"],
    ["::ffff:203.0.113.7", "203.0.113.7"],
    ["203.0.113.7, garbage", PEER],
    ["203.0.113.7, garbage, 10.0.0.9", "10.0.0.9"],
    ["unknown", PEER],
    ["", PEER],
    [",,,", PEER],
    ["0x7f.1", PEER],
    ["2130706433", PEER],
    ["203.0.113.7", "203.0.113.7", "fd00::1"],
    ["203.0.113.7", "203.0.113.7", "::ffff:10.0.0.1"],
  ];
  for (const [value, expected, peer = PEER] of table) {
    assert.equal(ipOf({ "x-forwarded-for": value }, { peer }), expected, `${peer}: ${value}`);
  }
});

Deno.test("only the configured header is used", () => {
  const headers = {
    "x-forwarded-for": "1.2.3.4",
    forwarded: 'for=203.0.113.7;proto=https, for="[2001:db8::7]:80"',
  };
  assert.equal(ipOf(headers), "1.2.3.4");
  assert.equal(ipOf(headers, { header: "forwarded" }), "2001:db8::7");
  assert.equal(ipOf({ forwarded: "proto=https;For=203.0.113.7" }, { header: "forwarded" }), "203.0.113.7");
  assert.equal(ipOf({ forwarded: "for=_hidden" }, { header: "forwarded" }), PEER);
  assert.equal(ipOf({ forwarded: "for=unknown, proto=https" }, { header: "forwarded" }), PEER);
});

Deno.test("of a very long header only the right end is read", () => {
  const forged = Array.from({ length: 10_000 }, () => "10.1.1.1").join(", ");
  assert.equal(ipOf({ "x-forwarded-for": `1.2.3.4, ${forged}` }), "10.1.1.1");
});

Deno.test("networks have names, and an invalid one throws", () => {
  const headers = { "x-forwarded-for": "203.0.113.7" };
  assert.equal(ipOf(headers, { trusted: ["loopback"], peer: "127.0.0.1" }), "203.0.113.7");
  assert.equal(ipOf(headers, { trusted: ["private"], peer: "192.168.1.1" }), "203.0.113.7");
  assert.equal(ipOf(headers, { trusted: ["loopback"], peer: "192.168.1.1" }), "192.168.1.1");
  for (const bad of ["10.0.0.0/33", "10.0.0/8", "::/129", "example.com", "10.0.0.0/x", ""]) {
    assert.throws(() => ipOf(headers, { trusted: [bad] }), /"trusted" must be/, bad);
  }
});

Deno.test("loopback names and addresses are recognized, similar ones are not", () => {
  for (const host of ["localhost", "LOCALHOST", "a.localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]"]) {
    assert.equal(isLoopback(host), true, host);
  }
  for (
    const host of ["0.0.0.0", "::", "localhost.evil.com", "127.0.0.1.evil.com", "10.0.0.1", "1.127.0.0", ""]
  ) {
    assert.equal(isLoopback(host), false, host);
  }
});

Deno.test("connections have the client's address", async () => {
  const clientIp = clientIpFrom({ trusted: ["loopback"] });
  await using server = await serve({ clientIp }, echo());
  await using _client = await server.connect("/echo", [], { "x-forwarded-for": "203.0.113.7" });
  assert.deepEqual([...server.server.connections].map(({ ip }) => ip), ["203.0.113.7"]);
});
