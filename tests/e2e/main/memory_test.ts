/** Tests that clients cannot use up the memory of `main.ts` by fragments, which the runtime joins without a limit. */

import assert from "node:assert/strict";
import { heard, sdkClient } from "../../kit/centrifuge.ts";
import { Child, Client, until } from "../../kit/mod.ts";
import { parsePrometheus } from "../../kit/prometheus.ts";
import { dataFolder, type Main, startMain } from "./kit.ts";

/** About twice of what the server takes without an attack. */
const MAX_MB = 200;

/** What may arrive until the guard has seen it and the clients are gone, on a busy machine. */
const LATE_MB = 700;

interface Metrics {
  /** Memory of the process. */
  readonly mb: number;
  readonly level: number;
  /** Clients that the guard has disconnected. */
  readonly disconnected: number;
}

async function metricsOf(server: Main): Promise<Metrics> {
  const { samples } = parsePrometheus(await (await fetch(`${server.url}/metrics`)).text());
  const sum = (name: string, code?: string) =>
    samples.filter((sample) => sample.name === name && sample.labels.code === code)
      .reduce((sum, { value }) => sum + value, 0);
  return {
    mb: sum("process_resident_memory_bytes") / 1_048_576,
    level: sum("plugboard_memory_level"),
    disconnected: sum("plugboard_disconnects_total", "3015"),
  };
}

async function problemsOf(server: Main): Promise<string[]> {
  const { problems = [] } = await (await fetch(`${server.url}/health`)).json();
  return problems;
}

Deno.test("clients that send fragments without an end are disconnected before memory is used up", async () => {
  using data = dataFolder();
  await using server = await startMain({ DATA_DIR: data.path, MAX_MEMORY: `${MAX_MB}MB` });
  await using client = sdkClient(server.url, "websocket", { timeout: 60_000 });
  const channel = client.sdk.newSubscription("news");
  const publications = heard(channel, "publication");
  const [subscribed, disconnects] = [heard(channel, "subscribed"), heard(client.sdk, "disconnected")];
  channel.subscribe();
  client.sdk.connect();
  await subscribed.next();
  const before = await metricsOf(server);
  assert.ok(before.mb < MAX_MB * 0.75, `${before.mb} MB without an attack`);

  const script = new URL("./children/fragments.ts", import.meta.url);
  await using attack = new Child(script, { args: [new URL(server.url).port] });
  let [peak, level, problem, refused] = [0, 0, "", ""];
  await until("the disconnects", async () => {
    await channel.publish("still here");
    assert.equal((await publications.next()).data, "still here");
    const now = await metricsOf(server);
    peak = Math.max(peak, now.mb);
    level = Math.max(level, now.level);
    problem ||= (await problemsOf(server))[0] ?? "";
    if (refused === "" && level > 0) {
      refused = await Client.connect(`${server.url}/echo`).then((late) =>
        late.close(), (error) => error.message) ?? "";
    }
    return attack.lines.size === 3;
  }, 60_000);
  assert.deepEqual(attack.lines.take().sort(), [
    "cut /connection/websocket ",
    'cut /connection/websocket {"id":1,"connect":{}}',
    "cut /echo ",
  ]);
  assert.ok(peak < MAX_MB + LATE_MB, `${peak} MB`);
  assert.ok(level > 0);
  assert.ok((await metricsOf(server)).disconnected > 0);
  assert.match(problem, /^New clients are refused, because memory is short: \d+ of 200 MB in use$/);
  assert.match(refused, /503/);

  await until("the end of the alarm", async () => (await problemsOf(server)).length === 0);
  await using late = await Client.connect(`${server.url}/echo`);
  late.send("hello");
  assert.equal(await late.next(), "hello");
  assert.equal(disconnects.size, 0);
  await until("the memory to be freed", async () => (await metricsOf(server)).mb < MAX_MB * 0.75);
  assert.ok(
    server.warnings().includes(
      "kernel: memory is used up, clients that complete no message are disconnected",
    ),
  );
});
