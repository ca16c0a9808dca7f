import assert from "node:assert/strict";
import fc from "fast-check";
import { type AnyPlugin, refusal } from "../../core/mod.ts";
import { channels } from "../../plugins/channels.ts";
import { echo } from "../../plugins/protocols/echo.ts";
import { rateLimits } from "../../plugins/rate_limits.ts";
import { metricsRegistry } from "../../plugins/shared/metrics.ts";
import { stats, type StatsOptions } from "../../plugins/stats.ts";
import { channelProtocol } from "../kit/channel_protocol.ts";
import { type Client, FakeClock, serve, until } from "../kit/mod.ts";
import { parsePrometheus } from "../kit/prometheus.ts";

async function serveStats(options: Omit<StatsOptions, "channels"> = {}) {
  const bus = channels({ namespaces: { chat: { historySize: 10 } } });
  const numbers = stats({ channels: bus.api, ...options });
  const refusing: AnyPlugin = {
    name: "refusing",
    upgrade: ({ url }) => url.endsWith("?no") ? refusal(403, "no", "No") : undefined,
  };
  const plugins = [bus, numbers, channelProtocol(bus.api), refusing, echo()];
  const server = await serve({ maxMessageBytes: 1000 }, ...plugins);
  const metric = async (name: string, labels: Record<string, string> = {}) => {
    const { samples } = parsePrometheus(await (await server.fetch("/metrics")).text());
    return samples.filter((each) =>
      each.name === name && Object.entries(labels).every(([label, value]) => each.labels[label] === value)
    ).reduce((sum, { value }) => sum + value, 0);
  };
  return Object.assign(server, { bus: bus.api, numbers: numbers.api, metric });
}

async function ask(client: Client, command: object) {
  client.sendJson(command);
  return await client.nextJson();
}

Deno.test("T08 after random churn, gauges are correct and counters never decrease", async () => {
  await using server = await serveStats();
  const open: Client[] = [];
  const subscribed = new Map<Client, Set<string>>();
  let [connects, before] = [0, new Map<string, number>()];
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.tuple(
          fc.constantFrom("connect", "subscribe", "unsubscribe", "close", "crash", "publish"),
          fc.nat(99),
        ),
        {
          maxLength: 30,
        },
      ),
      async (steps) => {
        for (const [step, pick] of steps) {
          const client = open[pick % Math.max(1, open.length)];
          const channel = `chat:${pick % 3}`;
          if (step === "connect" || client === undefined) {
            const made = await server.connect("/t");
            open.push(made);
            subscribed.set(made, new Set());
            connects++;
          } else if (step === "subscribe") {
            const { error } = await ask(client, { do: "subscribe", channel });
            if (error === undefined) subscribed.get(client)!.add(channel);
          } else if (step === "unsubscribe") {
            await ask(client, { do: "unsubscribe", channel });
            subscribed.get(client)!.delete(channel);
          } else if (step === "publish") {
            await server.bus.publish(channel, 1);
            await Promise.all(
              open.filter((each) => subscribed.get(each)!.has(channel)).map((each) => each.next()),
            );
          } else {
            open.splice(open.indexOf(client), 1);
            subscribed.delete(client);
            if (step === "close") await client.close();
            else client.send("x".repeat(2000)); // over the limit: the server closes it
            await client.closed;
          }
        }
        await until("the server to close them", () => server.server.connections.size === open.length);
        const subscriptions = [...subscribed.values()].reduce((sum, { size }) => sum + size, 0);
        assert.equal(await server.metric("plugboard_connections"), open.length);
        assert.equal(await server.metric("plugboard_subscriptions"), subscriptions);
        assert.equal(await server.metric("plugboard_connects_total", { protocol: "test" }), connects);
        assert.equal(await server.metric("plugboard_disconnects_total"), connects - open.length);
        assert.equal(server.numbers.activeConnections(), open.length);
        const { types, samples } = parsePrometheus(server.numbers.metrics.render());
        for (const { name, labels, value } of samples) {
          if (types.get(name) !== "counter") continue;
          const id = name + JSON.stringify(labels);
          assert.ok(value >= (before.get(id) ?? 0), `${id} decreased`);
          before = before.set(id, value);
        }
      },
    ),
    { numRuns: 30 },
  );
  for (const client of open) await client.close();
});

Deno.test("histograms count the observed values", () => {
  fc.assert(fc.property(fc.array(fc.double({ min: 0, max: 20, noNaN: true })), (values) => {
    const metrics = metricsRegistry();
    const histogram = metrics.histogram("h", "help", [0.1, 1, 10]);
    for (const value of values) histogram.observe(value);
    const { samples } = parsePrometheus(metrics.render());
    const bucket = (le: string) => samples.find(({ labels }) => labels.le === le)!.value;
    assert.equal(bucket("0.1"), values.filter((value) => value <= 0.1).length);
    assert.equal(bucket("1"), values.filter((value) => value <= 1).length);
    assert.equal(bucket("10"), values.filter((value) => value <= 10).length);
    assert.equal(bucket("+Inf"), values.length);
    assert.equal(samples.find(({ name }) => name === "h_count")!.value, values.length);
    assert.equal(
      samples.find(({ name }) => name === "h_sum")!.value,
      values.reduce((sum, value) => sum + value, 0),
    );
  }));
});

Deno.test("label values are escaped and bounded", () => {
  const metrics = metricsRegistry();
  const counter = metrics.counter("c_total", "help\nwith \\ in it", ["a"]);
  counter.add(1, 'quote " backslash \\ line\nend');
  for (let i = 0; i < 100_000; i++) counter.add(1, `user${i}`);
  const { samples } = parsePrometheus(metrics.render());
  assert.equal(samples[0]!.labels.a, 'quote " backslash \\ line\nend');
  assert.ok(samples.length <= 101);
  assert.equal(counter.value(), 100_001);
  assert.equal(samples.reduce((sum, { value }) => sum + value, 0), 100_001);
});

Deno.test("the number of series does not grow with channels", async () => {
  await using server = await serveStats();
  for (let i = 0; i < 2_000; i++) await server.bus.publish(`space${i}:channel`, i);
  const { samples } = parsePrometheus(await (await server.fetch("/metrics")).text());
  assert.ok(samples.length < 200, `${samples.length} samples`);
  assert.equal(await server.metric("plugboard_publishes_total"), 2_000);
});

Deno.test("H05 health has the form of the original hub and reports problems", async () => {
  const problems: string[] = [];
  await using server = await serveStats({ checks: [() => problems[0]] });
  await using _one = await server.connect("/t?user=ann");
  await using _two = await server.connect("/t?user=ann");
  await using _three = await server.connect("/echo");
  await until("the clients", () => server.bus.clients.size === 2);
  const health = await server.fetch("/health");
  assert.equal(health.status, 200);
  assert.deepEqual(await health.json(), {
    status: "healthy",
    stats: { total_users: 1, total_connections: 3, total_sessions: 2 },
  });
  problems.push("The disk is full");
  const ready = await server.fetch("/health/ready");
  assert.equal(ready.status, 503);
  assert.deepEqual((await ready.json()).problems, ["The disk is full"]);
  const live = await server.fetch("/health/live");
  assert.equal(live.status, 200);
  await live.body?.cancel();
});

Deno.test("S06 lists channels and clients", async () => {
  await using server = await serveStats();
  await using client = await server.connect("/t?user=ann");
  await ask(client, { do: "subscribe", channel: "chat:a" });
  const [info] = server.numbers.clientInfo();
  assert.deepEqual([info!.protocol, info!.user, info!.channels], ["test", "ann", ["chat:a"]]);
  assert.deepEqual(server.numbers.clientInfo(info!.id), [info]);
  assert.deepEqual(server.numbers.clientInfo("nobody"), []);
  assert.equal(server.numbers.channelStats("chat:a")[0]!.subscribers, 1);
});

Deno.test("B13 counts publishes, deliveries, latency and recoveries", async () => {
  await using server = await serveStats();
  await using one = await server.connect("/t");
  await using two = await server.connect("/t");
  for (const client of [one, two]) await ask(client, { do: "subscribe", channel: "chat:a" });
  const { epoch } = await server.bus.publish("chat:a", 1);
  for (const client of [one, two]) await client.next();
  for (const [offset, recovered] of [[1, true], [9, false]]) {
    await ask(one, { do: "unsubscribe", channel: "chat:a" });
    const reply = await ask(one, { do: "subscribe", channel: "chat:a", recover: { offset, epoch } });
    assert.equal(reply.recovered, recovered);
  }
  assert.equal(await server.metric("plugboard_publishes_total", { namespace: "chat" }), 1);
  assert.equal(await server.metric("plugboard_deliveries_total", { namespace: "chat" }), 2);
  assert.equal(await server.metric("plugboard_publish_latency_seconds_count"), 1);
  assert.ok(await server.metric("plugboard_publish_latency_seconds_sum") < 5);
  assert.equal(await server.metric("plugboard_recoveries_total", { result: "done" }), 1);
  assert.equal(await server.metric("plugboard_recoveries_total", { result: "impossible" }), 1);
  const summary = await (await server.fetch("/api/stats")).json();
  assert.equal(summary.totals.plugboard_publishes_total, 1);
  assert.ok(summary.publishLatencyMs.p99 > 0);
});

Deno.test("counts refusals by status", async () => {
  await using server = await serveStats();
  for (const [path, status] of [["/nothing", 404], ["/echo", 426]] as const) {
    const response = await server.fetch(path);
    assert.equal(response.status, status);
    await response.body?.cancel();
    assert.equal(await server.metric("plugboard_refusals_total", { status: String(status) }), 1);
  }
});

Deno.test("counts refused upgrades and sent frames", async () => {
  await using server = await serveStats();
  await assert.rejects(server.connect("/nothing"));
  assert.equal(await server.metric("plugboard_refusals_total", { status: "404" }), 1);
  await assert.rejects(server.connect("/echo?no"));
  assert.equal(await server.metric("plugboard_refusals_total", { status: "403" }), 1);
  await using client = await server.connect("/echo");
  client.send("hello");
  await client.next();
  assert.equal(await server.metric("plugboard_frames_sent_total", { protocol: "echo" }), 1);
  assert.equal(await server.metric("plugboard_sent_chars_total", { protocol: "echo" }), 5);
});

Deno.test("statistics need permission", async () => {
  await using server = await serveStats({ allow: (request) => request.headers.get("x-api-key") === "right" });
  for (const path of ["/metrics", "/api/stats"]) {
    const refused = await server.fetch(path);
    assert.equal(refused.status, 403);
    await refused.body?.cancel();
    const allowed = await server.fetch(path, { headers: { "x-api-key": "right" } });
    assert.equal(allowed.status, 200);
    await allowed.body?.cancel();
  }
});

Deno.test("the Grafana dashboard uses existing metrics", async () => {
  await using server = await serveStats();
  const shown = await Deno.readTextFile(new URL("../../examples/deploy/grafana.json", import.meta.url));
  const asked = new Set(
    shown.match(/(?:plugboard|process)_\w+/g)!.map((name) => name.replace(/_(bucket|sum)$/, "")),
  );
  const there = new Set(
    Object.keys(server.numbers.metrics.totals()).map((name) => name.replace(/_count$/, "")),
  );
  // Metrics of plugins that are not used here.
  const elsewhere = /^plugboard_(live_|rate_limited|sign_ins|commit)/;
  assert.deepEqual([...asked].filter((name) => !there.has(name) && !elsewhere.test(name)), []);
});

Deno.test("B14 the journal has who went beyond a limit, once a minute for each connection and limit", async () => {
  const clock = new FakeClock();
  const limits = rateLimits({ limits: { messages: "2/10s" }, whenExceeded: "error" });
  const bus = channels({ limits: limits.api });
  const numbers = stats({ channels: bus.api, limits: limits.api });
  await using server = await serve({ clock }, limits, bus, numbers, channelProtocol(bus.api));
  await using ann = await server.connect("/t?user=ann");
  const limited = () => numbers.api.journal({ event: "limited" }).map(({ reason, count }) => [reason, count]);
  for (let i = 0; i < 5; i++) ann.send('{"do":"subscribe","channel":"a"}');
  await until("three refusals", () => limited()[0]?.[1] === 3);
  assert.deepEqual(limited(), [["message", 3]]);
  clock.advance(60_000);
  for (let i = 0; i < 3; i++) ann.send('{"do":"subscribe","channel":"a"}');
  await until("another entry", () => limited().length === 2);
  const { client } = numbers.api.journal({ event: "limited" })[0]!;
  assert.equal(numbers.api.journal({ client }).filter(({ event }) => event === "limited").length, 2);
  assert.deepEqual(numbers.api.journal({ client: "other", event: "limited" }), []);
});
