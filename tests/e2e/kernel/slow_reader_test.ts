import assert from "node:assert/strict";
import { Audience, type Plugin } from "../../../core/mod.ts";
import { serve, until, within } from "../../kit/mod.ts";

Deno.test("B05 a reader that stops is closed with 3008, and the others are not affected", async () => {
  const audience = new Audience();
  const why: number[] = [];
  const feed: Plugin = {
    name: "feed",
    close: (_conn, { code }) => void why.push(code),
    endpoints: [{
      name: "feed",
      path: "/feed",
      open(conn) {
        audience.add(conn);
        return { message() {}, close: () => void audience.delete(conn) };
      },
    }],
  };
  await using server = await serve({ drainMs: 100 }, feed);
  using stopped = await server.raw("/feed");
  await using reader = await server.connect("/feed");
  await until("both", () => audience.size === 2);
  const before = Deno.memoryUsage().rss;
  const message = "x".repeat(16_384);
  let sent = 0;
  while (audience.size === 2) {
    audience.send(message);
    sent++;
    await reader.next();
    assert.ok(sent < 3_000, "it is still connected after 48 MiB");
  }
  assert.deepEqual(why, [3008]);
  audience.send("after");
  let last = await reader.next();
  while (last !== "after") last = await reader.next();
  // Its backlog is freed, except what the runtime and the system hold.
  await until("the memory to be freed", () => Deno.memoryUsage().rss - before < 24 * 1_048_576);
  // When it reads again, it receives the close code.
  assert.equal(await within("the close code", stopped.closeCode()), 3008);
});
