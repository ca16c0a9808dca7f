/**
 * Centrifuge's SDKs for Python, Go and Java. Each tells the same story: it connects with a token that expires soon,
 * subscribes, publishes, reads presence and history, calls a method, renews its token, loses its connection, and recovers
 * what it missed. Those for Python and Go also have deltas and tag filters. `build.sh` fetches the SDKs.
 */

import assert from "node:assert/strict";
import { centrifugeServer, fakeAccess, TRANSPORTS } from "../../kit/centrifuge.ts";
import { Child } from "../../kit/child.ts";
import { until } from "../../kit/mod.ts";
import { findProgram, skip } from "../../kit/programs.ts";
import { wireTo } from "../centrifuge/proxy.ts";
import { exists, FOLDER, source } from "./kit.ts";

/** An SDK: what has to be there, in the folder or as a program, and how its client is run. */
interface Sdk {
  readonly needs: string;
  readonly encodings: readonly ("json" | "protobuf")[];
  readonly command: readonly string[];
  /** Whether it has deltas and tag filters. */
  readonly deltas: boolean;
}

const sdks: Record<string, Sdk> = {
  Python: {
    needs: `${FOLDER}/python/bin/python`,
    encodings: ["json", "protobuf"],
    command: [`${FOLDER}/python/bin/python`, source("python/client.py")],
    deltas: true,
  },
  Go: {
    needs: `${FOLDER}/go/client`,
    encodings: ["json", "protobuf"],
    command: [`${FOLDER}/go/client`],
    deltas: true,
  },
  Java: {
    needs: `${FOLDER}/java`,
    encodings: ["protobuf"],
    command: ["java", "-cp", `${FOLDER}/java/*`, source("java/Client.java")],
    deltas: false,
  },
};

for (const [name, { needs, encodings, command, deltas }] of Object.entries(sdks)) {
  for (const encoding of encodings) {
    const title = `B17 the SDK for ${name} works in ${encoding === "json" ? "JSON" : "Protobuf"}`;
    if (!exists(needs)) skip("tests/e2e/sdks/build.sh did not fetch it", title);
    else if (findProgram([command[0]!.split("/").at(-1)!]) === undefined && !exists(command[0]!)) {
      skip(`${command[0]} is not installed`, title);
    } else Deno.test(title, () => story(command, encoding, deltas));
  }
}

/** Documents that differ in one character, of two and of four bytes. */
const documents = ["Größe 😀", "Größe 😁", "Gräße 😁", "Gräße 🐀"].map((title) => ({
  title,
  text: "Übung ".repeat(50),
}));

async function story(command: readonly string[], encoding: string, deltas: boolean): Promise<void> {
  const access = fakeAccess({
    short: { user: "alice", expiresInMs: 3_000 },
    long: { user: "alice", expiresInMs: 600_000 },
  });
  await using server = await centrifugeServer({
    channels: { defaults: { delta: "fossil", maxTagFilters: 5, compaction: true } },
    centrifuge: { access },
  });
  server.methods.define("echo", { run: (value) => value });
  await using wire = wireTo(server.url);
  const url = wire.url.replace("http", "ws") + TRANSPORTS.websocket;
  await using client = new Child([...command, url, encoding]);
  const next = async () => JSON.parse(await client.line());

  assert.deepEqual(await next(), ["subscribed", true]);
  assert.deepEqual(await next(), ["publication", { n: 1 }, 1, "alice"]);
  assert.deepEqual(await next(), ["presence", ["alice"], 1, 1]);
  assert.deepEqual(await next(), ["history", [{ n: 1 }], 1]);
  assert.deepEqual(await next(), ["rpc", { text: "grüße" }]);
  assert.deepEqual(await next(), ["error", 104]);
  assert.deepEqual(await next(), ["refreshed"]);
  await until("the renewal", () => {
    const [{ identity } = assert.fail()] = server.bus.clients.values();
    return identity.expiresAt! > Date.now() + 60_000;
  });

  const publish = async (document: unknown) => {
    await server.bus.publish("document", document);
    for (const lang of ["en", "de"]) {
      await server.bus.publish("tagged", { lang, document }, { tags: { lang } });
    }
  };
  if (deltas) {
    const [{ subscriptions } = assert.fail()] = server.bus.clients.values();
    await until("all subscriptions", () => subscriptions.size === 3);
    assert.equal(subscriptions.get("document")?.delta, true);
  }
  for (const document of documents.slice(0, 2)) await publish(document);
  wire.refuse(true);
  wire.cut();
  for (const n of [2, 3]) await server.bus.publish("news", { n });
  for (const document of documents.slice(2)) await publish(document);
  wire.refuse(false);
  assert.deepEqual(await next(), ["recovered", true, true]);
  assert.deepEqual(await next(), ["publication", { n: 2 }, 2]);
  assert.deepEqual(await next(), ["publication", { n: 3 }, 3]);
  if (deltas) {
    assert.deepEqual(await next(), ["received", ...documents]);
    assert.deepEqual(await next(), ["received", ...documents.map((document) => ({ lang: "de", document }))]);
  }
  const { code, stderr } = await client.end();
  assert.equal(code, 0, stderr);
  assert.equal(server.test.log.size, 0);
}
