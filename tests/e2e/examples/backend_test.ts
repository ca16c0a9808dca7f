/** The example whose backend is written in another language, with each of its backends. */

import assert from "node:assert/strict";
import { runExample } from "../../kit/example.ts";
import { freePort } from "../../kit/ports.ts";
import { Client, until, within } from "../../kit/mod.ts";
import { testWith } from "../../kit/programs.ts";

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/** Starts a backend, and collects what it prints. */
function startBackend(program: string, args: readonly string[], port: number) {
  const child = new Deno.Command(program, {
    args: [...args],
    env: { PORT: String(port), WEBHOOK_SECRET: SECRET },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let printed = "";
  const reading = Promise.all([child.stdout, child.stderr].map(async (stream) => {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) printed += text;
  }));
  return {
    printed: () => printed,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await within("the backend's end", Promise.all([child.status, reading]));
    },
  };
}

async function story(program: string, argsFor: (port: number) => readonly string[]): Promise<void> {
  const port = freePort();
  const url = `http://127.0.0.1:${port}`;
  await using backend = startBackend(program, argsFor(port), port);
  const ask = (path: string, headers: Record<string, string> = {}) =>
    fetch(url + path, { method: "POST", body: `{"events":[]}`, headers });
  await until(
    "the backend's start",
    () => ask("/none").then((response) => response.text()).then(() => true, () => false),
    30_000,
  )
    .catch((error) => assert.fail(`${error.message}: ${backend.printed()}`));
  await using server = await runExample("examples/backend.ts", { BACKEND_URL: url, WEBHOOK_SECRET: SECRET });
  const connect = (cookie: string) => Client.connect(`${server.url}/ws`, [], { cookie });

  await using stranger = await connect("session=mallory");
  assert.deepEqual((await stranger.nextJson()).data, {
    code: "BACKEND_ERROR",
    message: "log in first",
    number: 1001,
  });
  await using bob = await connect("session=bob");
  assert.equal((await bob.nextJson()).data.userId, "bob");
  bob.sendJson({ type: "subscribe", channel: "room:staff" });
  assert.equal((await bob.nextJson()).data.message, "staff only");
  bob.sendJson({ type: "subscribe", channel: "room:lobby" });
  assert.equal((await bob.nextJson()).type, "subscribed");
  bob.sendJson({ type: "publish", channel: "room:lobby", data: "hello" });
  assert.deepEqual((await bob.nextJson()).data, { from: "bob", text: "hello" });
  const events = ["connect bob ", "subscribe bob room:lobby"];
  await until("the events", () => events.every((event) => backend.printed().includes(event)))
    .catch((error) => assert.fail(`${error.message}: ${backend.printed()} ${server.printed()}`));

  const forged = await ask("/events", {
    "webhook-id": "msg_1",
    "webhook-timestamp": String(Math.floor(Date.now() / 1_000)),
    "webhook-signature": "v1,Zm9yZ2Vk",
  });
  await forged.body?.cancel();
  assert.equal(forged.status, 401);
}

testWith(
  "python",
  "B10 a backend in Python signs users in, decides, and hears signed events",
  (python) => story(python, () => ["examples/backend.py"]),
);

testWith(
  "php",
  "B10 a backend in PHP signs users in, decides, and hears signed events",
  (php) => story(php, (port) => ["-S", `127.0.0.1:${port}`, "examples/backend.php"]),
);
