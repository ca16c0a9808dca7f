// deno-lint-ignore-file no-console -- the test reads the output
import { RawClient } from "../../../kit/mod.ts";

/** Clients that send fragments of a message without an end. */
const [port = ""] = Deno.args;
const headers = { host: `127.0.0.1:${port}` };
const fragment = "x".repeat(300_000);

async function attack(path: string, first?: string): Promise<void> {
  using raw = await RawClient.upgrade(Number(port), path, headers);
  if (first !== undefined) {
    await raw.frame(1, first);
    await raw.nextFrame(1); // the reply
  }
  try {
    await raw.frame(1, fragment, false);
    for (;;) {
      await raw.frame(0, fragment, false);
      // While clients send faster than the server can read, it answers nobody.
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  } catch {
    console.log(`cut ${path} ${first ?? ""}`);
  }
}

await Promise.all([
  attack("/connection/websocket"),
  attack("/connection/websocket", '{"id":1,"connect":{}}'),
  attack("/echo"),
]);
