import assert from "node:assert/strict";
import type { Plugin } from "../../../core/mod.ts";
import { echo } from "../../../plugins/protocols/echo.ts";
import { least, serve, until } from "../../kit/mod.ts";

const PING_MS = 400;
const options = { pingIntervalMs: PING_MS, pongTimeoutMs: 150, drainMs: 100 };

/** An endpoint with its own ping, which clients answer with any message. */
const pinging: Plugin = {
  name: "pinging",
  endpoints: [{
    name: "pinging",
    path: "/ping",
    open: (conn) => ({ message() {}, ping: () => void conn.send("ping") }),
  }],
};

for (const path of ["/ping", "/echo"]) {
  Deno.test(`a peer at ${path} that is silently gone is closed within two ping intervals`, async () => {
    await using server = await serve(options, pinging, echo());
    const took = await least(2 * PING_MS + 100, async () => {
      // It neither reads, answers nor closes, like a machine without power.
      using _dead = await server.raw(path);
      await until("the connection", () => server.server.connections.size === 1);
      const begun = performance.now();
      await until("the close", () => server.server.connections.size === 0);
      return performance.now() - begun;
    });
    assert.ok(took < 2 * PING_MS + 100, `it took ${Math.round(took)} ms`);
  });

  Deno.test(`an event loop that is blocked for longer than the ping timeout closes no connection at ${path}`, async () => {
    await using server = await serve(options, pinging, echo());
    // The clients run in another thread, so they answer while this one is blocked.
    const url = `${server.url.replace("http", "ws")}${path}`;
    const source = `
      let closed = 0;
      const sockets = Array.from({ length: 20 }, () => new WebSocket("${url}"));
      for (const socket of sockets) {
        socket.onmessage = () => socket.send("pong");
        socket.onclose = () => closed++;
      }
      onmessage = () => {
        postMessage(closed);
        for (const socket of sockets) { socket.onmessage = null; socket.close(); }
      };
    `;
    const clients = new Worker(`data:text/javascript,${encodeURIComponent(source)}`, { type: "module" });
    try {
      await until("all connections", () => server.server.connections.size === 20);
      for (let i = 0; i < 4; i++) {
        for (const end = performance.now() + 700; performance.now() < end;);
        // A moment to read the answers before the next block.
        await new Promise((resolve) => setTimeout(resolve, 30));
      }
      await new Promise((resolve) => setTimeout(resolve, 2 * PING_MS));
      assert.equal(server.server.connections.size, 20);
      const closed = new Promise((resolve) => clients.onmessage = ({ data }) => resolve(data));
      clients.postMessage("count");
      assert.equal(await closed, 0);
      await until("all to leave", () => server.server.connections.size === 0);
    } finally {
      clients.terminate();
    }
  });
}
