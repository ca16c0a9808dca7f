/**
 * Centrifugo's client libraries for Python and Go, and curl, use the server API. The library for Go uses the older form.
 * `build.sh` fetches them.
 */

import assert from "node:assert/strict";
import { heard } from "../../kit/centrifuge.ts";
import { Child } from "../../kit/child.ts";
import { skip, testWith } from "../../kit/programs.ts";
import { type ApiServer, apiServer, KEY } from "../../plugins/http_api/kit.ts";
import { exists, FOLDER, source } from "./kit.ts";

/** Runs a backend to its end while Ann is connected. Resolves to its lines, and to the code of Ann's disconnect. */
async function run(
  server: ApiServer,
  command: readonly string[],
): Promise<{ lines: unknown[]; code: number }> {
  await using ann = await server.user("ann");
  const disconnected = heard(ann.sdk, "disconnected");
  await using backend = new Child([...command, `${server.url}/api`, KEY]);
  const { code, stderr } = await backend.end();
  assert.equal(code, 0, stderr);
  const { code: why } = await disconnected.next();
  return { lines: backend.lines.take().map((line) => JSON.parse(line)), code: why };
}

const python = `${FOLDER}/python/bin/python`;
const hasCent = exists(python) &&
  new Deno.Command(python, { args: ["-c", "import cent"], stderr: "null" }).outputSync().success;
const PYTHON = "B09 Centrifugo's library for Python works with the API";
if (!hasCent) skip("tests/e2e/sdks/build.sh did not fetch it", PYTHON);
else {
  Deno.test(PYTHON, async () => {
    await using server = await apiServer();
    const { lines, code } = await run(server, [python, source("python/backend.py")]);
    assert.deepEqual(lines, [
      ["publish", 1, 1, true],
      ["broadcast", 2, 1, 107],
      ["history", [{ n: 1.1 }, 2], 2],
      ["presence", ["ann"]],
      ["presence_stats", 1, 1],
      ["channels", { news: 1 }],
      ["info", 1, 1],
      ["batch", 1, 1],
      ["error", 107, "bad request: channel must not be empty"],
      ["wrong key"],
    ]);
    assert.equal(code, 4500);
  });
}

const GO = "B09 Centrifugo's library for Go works with the API";
if (!exists(`${FOLDER}/go/backend`)) skip("tests/e2e/sdks/build.sh did not fetch it", GO);
else {
  Deno.test(GO, async () => {
    await using server = await apiServer();
    const { lines, code } = await run(server, [`${FOLDER}/go/backend`]);
    assert.deepEqual(lines, [
      ["publish", 1, true],
      ["broadcast", 2, 1],
      ["history", '{"n":1.10}', 2, 2],
      ["presence", "ann"],
      ["presence_stats", 1, 1],
      ["channels", true, 1],
      ["info", 1, 1],
      ["pipe", true, 107, "bad request: channel must not be empty"],
      ["wrong key", 401],
    ]);
    assert.equal(code, 3503);
  });
}

testWith("curl", "B09 curl works as in the README", async (curl) => {
  await using server = await apiServer();
  const args = [
    "-sS",
    "-w",
    "\\n",
    "-H",
    `X-API-Key: ${KEY}`,
    "-d",
    '{"channel":"news","data":{"title":"Hello"}}',
  ];
  await using child = new Child([curl, ...args, `${server.url}/api/publish`]);
  assert.match(await child.line(), /^\{"result":\{"offset":1,"epoch":"\w+"\}\}$/);
  assert.equal((await child.end()).code, 0);
});
