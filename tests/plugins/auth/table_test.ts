import assert from "node:assert/strict";
import { methods } from "../../../plugins/protocols/centrifuge/methods.ts";
import { API_OPERATIONS } from "./table/backends.ts";
import { CALLERS, isAllowed, MODES } from "./table/callers.ts";
import { CENTRIFUGE_OPERATIONS, JSON_OPERATIONS } from "./table/channels.ts";
import { OTHER_OPERATIONS } from "./table/places.ts";
import { PROTOCOLS, serveAll } from "./table/server.ts";

const OPERATIONS = [...CENTRIFUGE_OPERATIONS, ...JSON_OPERATIONS, ...OTHER_OPERATIONS, ...API_OPERATIONS];

for (const mode of MODES) {
  Deno.test(`every operation of every protocol is for whom it should be (${mode} server)`, async () => {
    await using server = await serveAll(mode);
    const wrong: string[] = [];
    for (const caller of CALLERS) {
      const credentials = await caller.credentials();
      for (const { place, name, needs, run } of OPERATIONS) {
        const expected = isAllowed(needs, caller, mode) ? "allowed" : "refused";
        const what = `${caller.name}: ${name} at ${place}`;
        const answer = await run(server, credentials).then(
          (allowed) => allowed ? "allowed" : "refused",
          (error) => String(error),
        );
        if (answer !== expected) wrong.push(`${what} was ${answer}, expected ${expected}`);
      }
    }
    assert.deepEqual(wrong, []);
  });
}

Deno.test("every route and every endpoint is in the table", async () => {
  await using server = await serveAll("open");
  assert.deepEqual([...new Set(OPERATIONS.map(({ place }) => place))].sort(), [...server.places].sort());
});

Deno.test("every protocol is on the server of the table", async () => {
  const folder = new URL("../../../plugins/protocols/", import.meta.url);
  const files = (await Array.fromAsync(Deno.readDir(folder))).filter(({ name }) => name.endsWith(".ts"));
  assert.deepEqual(files.map(({ name }) => name).sort(), PROTOCOLS.map((name) => `${name}.ts`));
});

Deno.test("every message of the protocols for channels is in the table", async () => {
  await using server = await serveAll("open");
  await using client = await server.connect("/ws");
  const { data: { capabilities } } = await client.nextJson();
  const types = new Set(JSON_OPERATIONS.map(({ name }) => name));
  // Needs a token of the same user, and grants nothing by itself.
  const withoutTable = new Set(["refresh", "sub_refresh", "send"]);
  assert.deepEqual(capabilities.filter((type: string) => !types.has(type) && !withoutTable.has(type)), []);
  const commands = new Set(CENTRIFUGE_OPERATIONS.map(({ name }) => name));
  assert.deepEqual(Object.keys(methods).filter((name) => !commands.has(name) && !withoutTable.has(name)), []);
});
