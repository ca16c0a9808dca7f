import assert from "node:assert/strict";
import { channels } from "../../plugins/channels.ts";
import { dashboard } from "../../plugins/dashboard.ts";
import { files } from "../../plugins/dashboard/files.ts";
import { stats } from "../../plugins/stats.ts";
import { FakeClock, serve, until } from "../kit/mod.ts";
import { dashboardServer, KEY } from "./dashboard/kit.ts";
import { sdkClient } from "../kit/centrifuge.ts";
import { token } from "./auth/kit.ts";

/** What a browser may load before it shows the page. */
const MAX_BYTES = 150_000;

Deno.test("B14 the page is at most 150 KB over the wire, and loads nothing from elsewhere", async () => {
  await using server = await dashboardServer();
  let bytes = 0;
  for (const [path] of files({ path: "/admin", apiPath: "/api", open: true })) {
    // The raw size: `fetch` would decompress it.
    const { stdout } = await new Deno.Command("curl", {
      args: ["-s", "-H", "accept-encoding: gzip", "-o", "-", server.url + path],
    }).output();
    assert.ok(stdout.length > 100, path);
    bytes += stdout.length;
  }
  assert.ok(bytes <= MAX_BYTES, `${bytes} bytes`);
  const page = await (await server.fetch("/admin")).text();
  assert.doesNotMatch(page, /(?:href|src)="(?:\/|https?:)/);
  assert.doesNotMatch(page, /<style|\sstyle=|\son\w+=/);
  for (const [, body] of page.matchAll(/<script(?! type="importmap")[^>]*>([^<]*)</g)) assert.equal(body, "");
});

Deno.test("B14 the policy allows only the page's own scripts", async () => {
  await using server = await dashboardServer();
  const response = await server.fetch("/admin");
  await response.body?.cancel();
  const policy = response.headers.get("content-security-policy")!;
  assert.match(policy, /default-src 'none'; script-src 'self' 'sha256-[^']+'; style-src 'self'/);
  assert.doesNotMatch(policy, /unsafe/);
});

Deno.test("B14 feeds run only while they have subscribers, who get the figures", async () => {
  const clock = new FakeClock();
  const bus = channels();
  const numbers = stats({ channels: bus.api });
  let listeners = 0;
  const counted = {
    figures: numbers.api.figures,
    onFigures(listener: Parameters<typeof numbers.api.onFigures>[0]) {
      listeners++;
      const end = numbers.api.onFigures(listener);
      return () => {
        listeners--;
        end();
      };
    },
  };
  await using _server = await serve(
    { clock },
    bus,
    numbers,
    dashboard({ channels: bus.api, stats: counted }),
  );
  clock.advance(5_000);
  assert.equal(listeners, 0);
  const received: { time: number; nodes: { figures: { time: number } }[] }[] = [];
  const end = bus.api.subscribe("$admin:figures", (data) => void received.push(data as typeof received[0]));
  await until("the feed", () => listeners === 1);
  clock.advance(1_000);
  await until("figures", () => received.length === 1);
  assert.equal(received[0]!.nodes[0]!.figures.time, numbers.api.figures().at(-1)!.time);
  assert.equal(received[0]!.time, clock.wallTime());
  end();
  await until("the end of the feed", () => listeners === 0);
});

Deno.test("B14 no client publishes to the channels of the dashboard, and unknown ones do not exist", async () => {
  await using server = await dashboardServer({
    apiKeys: [{ name: "ops", key: KEY, permissions: ["admin"] }],
  });
  const publish = await server.fetch("/api/publish", {
    method: "POST",
    headers: { "x-api-key": KEY },
    body: '{"channel":"$admin:figures","data":1}',
  });
  assert.deepEqual(await publish.json(), {
    error: { code: 103, message: "permission denied: Only the server publishes to this channel" },
  });
  for (const channel of ["$admin:nothing", "$admin:tail?", "$admin:tail?null", "$admin:tail?[1"]) {
    server.bus.subscribe(channel, () => {})();
    assert.equal(server.bus.localStats(channel).length, 0, channel);
  }
});

Deno.test("B14 a backend cannot subscribe a client to the data of operators that the client may not read", async () => {
  const connections = "c".repeat(32);
  await using server = await dashboardServer({
    apiKeys: [
      { name: "ops", key: KEY, permissions: ["admin"] },
      { name: "rooms", key: connections, permissions: ["admin:connections"] },
    ],
  });
  const client = async (sub: string, permissions: string[]) => {
    const found = sdkClient(server.url, "websocket", { token: await token({ sub, permissions }) });
    found.sdk.connect();
    await found.sdk.ready();
    return found;
  };
  await using _ann = await client("ann", ["read:*", "write:*"]);
  await using _operator = await client("operator", ["admin"]);
  for (const user of ["ann", "operator"]) {
    for (const channel of ["$admin:tail?{}", "$admin:figures", "$secret"]) {
      const response = await server.fetch("/api/subscribe", {
        method: "POST",
        headers: { "x-api-key": connections },
        body: JSON.stringify({ user, channel }),
      });
      await response.body?.cancel();
    }
  }
  const channelsOf = (user: string) =>
    server.bus.clients.values().filter(({ identity }) => identity.user === user)
      .flatMap(({ subscriptions }) => subscriptions.keys()).toArray();
  assert.deepEqual(channelsOf("ann"), ["$secret"]);
  assert.deepEqual(channelsOf("operator"), ["$admin:tail?{}", "$admin:figures", "$secret"]);
});
