/** Clients that attack a worker before they are connected, and over TLS. The others are served meanwhile. */

import assert from "node:assert/strict";
import type { Plugin } from "../../../core/mod.ts";
import { echo } from "../../../plugins/protocols/echo.ts";
import { workers } from "../../../plugins/workers.ts";
import { Client, RawClient, serve, type TestServer, until, within } from "../../kit/mod.ts";
import { CapturedWorkers } from "../../kit/workers.ts";
import { makeCertificate } from "../deploy/proxy.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

const HANDSHAKE = bytes(
  "GET /echo?slow HTTP/1.1\r\nhost: test\r\nupgrade: websocket\r\nconnection: upgrade\r\n" +
    "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n",
);

/** Whether the server ends the connection. */
async function isEnded(raw: RawClient): Promise<boolean> {
  try {
    while (await raw.read() !== null);
  } catch { /* reset */ }
  return true;
}

async function isServed(server: TestServer): Promise<void> {
  await using client = await server.connect("/echo");
  client.send("still here");
  assert.equal(await client.next(), "still here");
}

Deno.test("handshakes that stop halfway cost no place, and no other client its turn", async () => {
  using captured = new CapturedWorkers();
  await using server = await serve({ maxConnections: 50 }, workers({ count: 1 }), echo());
  using scope = new DisposableStack();
  for (let i = 0; i < 300; i++) {
    const raw = scope.use(await RawClient.connect(server.port));
    if (i % 3 === 0) continue; // Says nothing.
    await raw.write(
      bytes(`GET /echo HTTP/1.1\r\nhost: test\r\nupgrade: websocket\r\n${"x".repeat(i % 100)}`),
    );
  }
  await isServed(server);
  // Handshakes whose clients leave at once, before and after the answer.
  for (let i = 0; i < 30; i++) {
    const raw = await RawClient.connect(server.port);
    await raw.write(HANDSHAKE);
    raw[Symbol.dispose]();
  }
  await isServed(server);
  await until("the end of all", () => server.server.connections.size === 0);
  assert.equal(captured.all.length, 1);
});

Deno.test("handshakes that fail give their places back", async () => {
  using captured = new CapturedWorkers();
  let decide: (() => void) | undefined;
  const slow: Plugin = {
    name: "slow",
    upgrade({ url }) {
      if (!url.includes("slow")) return undefined;
      return new Promise((resolve) => decide = () => resolve(undefined));
    },
  };
  await using server = await serve({ maxConnections: 1 }, slow, workers({ count: 1 }), echo());
  for (let i = 0; i < 3; i++) {
    using raw = await RawClient.connect(server.port);
    await raw.write(
      bytes("GET /echo HTTP/1.1\r\nhost: test\r\nupgrade: websocket\r\nconnection: close\r\n\r\n"),
    );
    assert.ok(await within("the refusal", isEnded(raw)));
  }
  await isServed(server);
  await until("the end", () => server.server.connections.size === 0);
  // Its worker ends while it is decided.
  using lost = await RawClient.connect(server.port);
  await lost.write(HANDSHAKE);
  await until("the question", () => decide !== undefined);
  CapturedWorkers.crash(captured.all[0]!);
  await until("its end", () => captured.all.length === 2);
  decide!();
  await until("a place", () => isServed(server).then(() => true, () => false));
});

Deno.test("heads that are too large or no HTTP end their connection alone", async () => {
  using captured = new CapturedWorkers();
  await using server = await serve({}, workers({ count: 1 }), echo());
  const heads = [
    `GET /echo HTTP/1.1\r\nhost: test\r\nx: ${"x".repeat(2_000_000)}\r\n\r\n`,
    `GET /${"x".repeat(2_000_000)} HTTP/1.1\r\nhost: test\r\n\r\n`,
    `GET /echo HTTP/1.1\r\nhost: test\r\n${"x: y\r\n".repeat(100_000)}\r\n`,
    "\0\0\0\0\r\n\r\n",
    "GET /echo HTTP/9.9\r\n\r\n",
    "GET http://[::bad/echo HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n",
  ];
  for (const head of heads) {
    using raw = await RawClient.connect(server.port);
    await raw.write(bytes(head)).catch(() => {});
    assert.ok(await within(`the end after ${head.slice(0, 40)}`, isEnded(raw)));
    await isServed(server);
  }
  assert.equal(captured.all.length, 1);
});

Deno.test("frames that are never completed cost their connection alone", async () => {
  using captured = new CapturedWorkers();
  await using server = await serve(
    { pingIntervalMs: 400, pongTimeoutMs: 200 },
    workers({ count: 1 }),
    echo(),
  );
  using scope = new DisposableStack();
  for (let i = 0; i < 20; i++) {
    const raw = scope.use(await server.raw("/echo"));
    // The head of a frame with 60,000 bytes, of which some follow.
    await raw.write(Uint8Array.of(129, 254, 60_000 >> 8, 60_000 & 255, 0, 0, 0, 0, ...bytes("x".repeat(i))));
  }
  await until("their end", () => server.server.connections.size === 0);
  await isServed(server);
  assert.equal(captured.all.length, 1);
});

Deno.test("workers terminate TLS for WebSockets, and end connections that are no TLS", async () => {
  const folder = await Deno.makeTempDir();
  const [certFile, keyFile] = [`${folder}/cert.pem`, `${folder}/key.pem`];
  try {
    await makeCertificate(folder);
    const cores = workers({ count: 2 });
    await using server = await serve({ tls: { certFile, keyFile } }, cores, echo());
    using trusting = Deno.createHttpClient({ caCerts: [await Deno.readTextFile(certFile)] });
    using halfOpen = await RawClient.connect(server.port);
    await halfOpen.write(Uint8Array.of(22, 3, 1)); // The start of a handshake.
    using plain = await RawClient.connect(server.port);
    await plain.write(bytes("GET /echo HTTP/1.1\r\nhost: test\r\n\r\n"));
    assert.ok(await within("the end", isEnded(plain)));
    const clients: Client[] = [];
    const url = `wss://localhost:${server.port}/echo`;
    for (let i = 0; i < 10; i++) clients.push(await Client.connect(url, [], {}, trusting));
    for (const client of clients) client.send("secret");
    for (const client of clients) assert.equal(await client.next(), "secret");
    assert.match(server.url, /^https:/);
    for (const client of clients) await client.close();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
