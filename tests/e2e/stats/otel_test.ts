import assert from "node:assert/strict";

Deno.test("B13 metrics are exported through OpenTelemetry", async () => {
  // A collector that stores the received text.
  const received = Promise.withResolvers<string>();
  const collector = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async (request) => {
    const body = await request.text();
    if (new URL(request.url).pathname === "/v1/metrics") received.resolve(body);
    return Response.json({});
  });
  const server = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", new URL("otel_server.ts", import.meta.url).pathname],
    env: {
      OTEL_DENO: "true",
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collector.addr.port}`,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_METRIC_EXPORT_INTERVAL: "300",
    },
    stderr: "inherit",
  }).spawn();
  const { resourceMetrics } = JSON.parse(await received.promise);
  server.kill("SIGKILL");
  await server.status;
  await collector.shutdown();
  const metrics = resourceMetrics[0].scopeMetrics.flatMap(({ metrics }: { metrics: object[] }) => metrics);
  const named = (name: string) => metrics.find((each: { name: string }) => each.name === name);
  assert.equal(
    Number(
      named("plugboard_publishes_total").sum.dataPoints[0].asDouble ??
        named("plugboard_publishes_total").sum.dataPoints[0].asInt,
    ),
    7,
  );
  assert.ok("gauge" in named("plugboard_connections"));
});
