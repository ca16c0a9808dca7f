/** Tests of the spans that the runtime exports to a collector. */

import assert from "node:assert/strict";
import { within } from "../../kit/mod.ts";

interface Span {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly status?: { readonly code?: number; readonly message?: string };
  readonly attributes?: readonly { readonly key: string; readonly value: Record<string, unknown> }[];
}

interface Export {
  readonly resourceSpans?: readonly {
    readonly scopeSpans: readonly {
      readonly scope: { readonly name: string };
      readonly spans: readonly Span[];
    }[];
  }[];
}

/** Runs a program. Resolves to all exported spans and to those of Plugboard. */
async function exported(
  program: string,
  env: Record<string, string>,
): Promise<{ all: Span[]; ours: Span[] }> {
  const all: Span[] = [];
  const ours: Span[] = [];
  const collector = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async (request) => {
    const { resourceSpans = [] } = await request.json() as Export;
    for (const { scope, spans } of resourceSpans.flatMap(({ scopeSpans }) => scopeSpans)) {
      all.push(...spans);
      if (scope.name === "plugboard") ours.push(...spans);
    }
    return Response.json({});
  });
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", new URL(program, import.meta.url).pathname],
    cwd: new URL("../../../", import.meta.url),
    env: {
      NO_COLOR: "1",
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collector.addr.port}`,
      ...env,
    },
    stdout: "null",
    stderr: "piped",
  });
  const { code, stderr } = await within("the program", command.output(), 60_000);
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  await collector.shutdown();
  return { all, ours };
}

Deno.test("B13 upgrades, calls and publications have spans in the trace of the client's headers", async () => {
  const { all, ours } = await exported("./otel_program.ts", { OTEL_DENO: "true" });
  const named = (name: string) => {
    const found = ours.filter((span) => span.name === name);
    assert.ok(found.length > 0, `no span ${name} in ${ours.map((span) => span.name).join(", ")}`);
    return found;
  };
  const [upgrade] = named("upgrade /t").filter(({ traceId }) => traceId === "a".repeat(32));
  const request = all.find(({ spanId }) => spanId === upgrade!.parentSpanId);
  assert.equal(request!.parentSpanId, "a".repeat(16), "the span of the request is the parent");

  const calls = named("rpc.call");
  assert.deepEqual(calls.map(({ traceId }) => traceId), Array(2).fill("a".repeat(32)));
  assert.deepEqual(calls.map(({ status }) => status?.code ?? 0).sort(), [0, 2]);
  assert.deepEqual(named("publish by-client").map(({ traceId }) => traceId), ["a".repeat(32)]);
  assert.deepEqual(named("publish by-request").map(({ traceId }) => traceId), ["b".repeat(32)]);
  const [published] = named("publish by-client");
  const attributes = Object.fromEntries(
    published!.attributes!.map(({ key, value }) => [key, Object.values(value)[0]]),
  );
  assert.equal(attributes["messaging.destination.name"], "by-client");
  assert.equal(Number(attributes["plugboard.offset"]), 1);

  const [refused] = named("upgrade /t").filter(({ traceId }) => traceId === "c".repeat(32));
  assert.equal(refused!.status?.code, 2);
});

Deno.test("B13 without OTEL_DENO nothing is exported", async () => {
  assert.deepEqual(await exported("./otel_program.ts", {}), { all: [], ours: [] });
});
