import assert from "node:assert/strict";
import { PlugboardError, refusalFor } from "../../core/mod.ts";
import { readText } from "../../plugins/shared/body.ts";
import { FakeClock, RawClient, serve, until } from "../kit/mod.ts";

Deno.test("work that takes too long answers 504, which browsers do not repeat; a body that does, 408", async () => {
  const clock = new FakeClock();
  await using server = await serve({ clock }, {
    name: "routes",
    routes(app) {
      app.get("/", () => refusalFor(new PlugboardError("timeout", "The sum took longer than 10 ms")));
      app.post("/", async (c) => {
        return c.text(await readText(c.req.raw, { maxBytes: 100, timeoutMs: 1_000, clock }));
      });
    },
  });
  const response = await server.fetch("/");
  assert.deepEqual([response.status, (await response.json()).error.code], [504, "timeout"]);
  using client = await RawClient.connect(server.port);
  const timers = clock.pending;
  await client.write(
    new TextEncoder().encode("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 50\r\n\r\n{"),
  );
  await until("the server to wait for the body", () => clock.pending > timers);
  clock.advance(1_000);
  const answer = new TextDecoder().decode(await client.read() ?? assert.fail("no answer"));
  assert.match(answer, /^HTTP\/1.1 408 /);
  assert.deepEqual(server.log.take(), []);
});
