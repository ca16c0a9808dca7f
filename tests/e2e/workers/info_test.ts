/** What operators read about workers, by the API and by the metrics. Figures are a second old, so this takes some seconds. */

import assert from "node:assert/strict";
import { auth } from "../../../plugins/auth.ts";
import { channels } from "../../../plugins/channels.ts";
import { httpApi } from "../../../plugins/http_api.ts";
import { echo } from "../../../plugins/protocols/echo.ts";
import { metricsRegistry } from "../../../plugins/stats.ts";
import { workers } from "../../../plugins/workers.ts";
import { type Client, serve, until } from "../../kit/mod.ts";
import { CapturedWorkers } from "../../kit/workers.ts";

Deno.test("info and the metrics list the workers, and their totals go on when one is replaced", async () => {
  using captured = new CapturedWorkers();
  const metrics = metricsRegistry();
  const cores = workers({ count: 1, metrics });
  const access = auth({});
  const bus = channels();
  const api = httpApi({ channels: bus.api, access: access.api, workers: cores.api });
  await using server = await serve({}, access, bus, api, echo(), cores);
  const info = async () => {
    const response = await server.fetch("/api/info", { method: "POST", body: "{}" });
    return (await response.json()).result.nodes[0].workers;
  };
  const exchange = async (client: Client, count: number) => {
    for (let i = 0; i < count; i++) {
      client.send(`${i}`);
      await client.next();
    }
  };
  const lost = await server.connect("/echo");
  await exchange(lost, 3);
  await until("the figures", () => cores.api.workers[0]!.framesSent === 3);
  const [worker, ...others] = await info();
  assert.equal(others.length, 0);
  const { cpu_seconds: cpuSeconds, heap_bytes: heapBytes, lag_ms: _, ...rest } = worker;
  assert.ok(cpuSeconds > 0 && heapBytes > 100_000, JSON.stringify(worker));
  assert.deepEqual(rest, {
    worker: 1,
    num_clients: 1,
    messages_received: 3,
    frames_sent: 3,
    queued_bytes: 0,
    waiting_bytes: 0,
    replaced: 0,
  });

  CapturedWorkers.crash(captured.all[0]!);
  await lost.closed;
  let client: Client | undefined;
  await until("the port", async () => {
    client = await server.connect("/echo").catch(() => undefined);
    return client !== undefined;
  });
  await exchange(client!, 2);
  await until("the figures", () => cores.api.workers[0]!.framesSent === 5);
  const [replaced] = await info();
  assert.deepEqual([replaced.replaced, replaced.messages_received, replaced.num_clients], [1, 5, 1]);
  assert.ok(replaced.cpu_seconds > cpuSeconds, "the CPU time of the earlier worker counts");
  const totals = metrics.totals();
  assert.equal(totals["plugboard_workers_replaced_total"], 1);
  assert.equal(totals["plugboard_worker_frames_sent_total"], 5);
  assert.equal(totals["plugboard_worker_messages_received_total"], 5);
  await client!.close();
  const logged = server.log.take().map(({ message }) => message);
  assert.deepEqual(logged.slice(-1), ["a worker has ended and is replaced"]);
});
