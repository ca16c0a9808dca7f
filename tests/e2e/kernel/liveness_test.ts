import assert from "node:assert/strict";
import type { Plugin } from "../../../core/mod.ts";
import { echo } from "../../../plugins/protocols/echo.ts";
import { serve, until } from "../../kit/mod.ts";

const PING_MS = 400;
const options = { pingIntervalMs: PING_MS, pongTimeoutMs: 150, drainMs: 100 };

/** An endpoint with a ping of its own, which clients answer by any message. */
const pinging: Plugin = {
  name: "pinging",
  endpoints: [{
    name: "pinging",
    path: "/ping",
    open: (conn) => ({ message() {}, ping: () => void conn.send("ping") }),
  }],
};

for (const path of ["/ping", "/echo"]) {
  Deno.test(`a peer at ${path} that is gone without a word is found within two ping intervals`, async () => {
    await using server = await serve(options, pinging, echo());
    // It reads nothing, answers nothing and never closes, like a machine that lost its power.
    using _dead = await server.raw(path);
    await until("it to be there", () => server.server.connections.size === 1);
    const begun = performance.now();
    await until("it to be found", () => server.server.connections.size === 0, 5_000);
    const took = performance.now() - begun;
    // Some time on top, for a machine that does much else meanwhile.
    assert.ok(took < 2 * PING_MS + 1_000, `it took ${Math.round(took)} ms`);
  });

  Deno.test(`an event loop that is blocked longer than the ping timeout drops nobody at ${path}`, async () => {
    await using server = await serve(options, pinging, echo());
    // The clients live in a thread of their own: they answer while this one is blocked.
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
      await until("all to be there", () => server.server.connections.size === 20);
      for (let i = 0; i < 4; i++) {
        for (const end = performance.now() + 700; performance.now() < end;);
        // A moment to read what has come in, and then it is blocked again.
        await new Promise((resolve) => setTimeout(resolve, 30));
      }
      await new Promise((resolve) => setTimeout(resolve, 2 * PING_MS));
      assert.equal(server.server.connections.size, 20);
      const closed = new Promise((resolve) => clients.onmessage = ({ data }) => resolve(data));
      clients.postMessage("count");
      assert.equal(await closed, 0);
      await until("all to have gone", () => server.server.connections.size === 0);
    } finally {
      clients.terminate();
    }
  });
}
