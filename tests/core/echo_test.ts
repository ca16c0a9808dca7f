import assert from "node:assert/strict";
import { echo } from "../../plugins/protocols/echo.ts";
import { serve } from "../kit/mod.ts";

Deno.test("a message comes back over a real socket", async () => {
  await using server = await serve({}, echo());
  await using client = await server.connect("/echo");
  client.send("hello");
  assert.equal(await client.next(), "hello");
  client.send(Uint8Array.of(1, 2, 3));
  assert.deepEqual(await client.next(), Uint8Array.of(1, 2, 3));
});
