/** Tests of `ADMIN_PORT`: the routes for operators and backends are on a port of their own. */

import assert from "node:assert/strict";
import { until } from "../../kit/mod.ts";
import { dataFolder, startMain, stopsCleanly } from "./kit.ts";

const KEY = "o".repeat(32);
const ENV = { API_KEYS: `ops:${KEY}:admin`, LOG_LEVEL: "info" };

async function statusOf(url: string, init: RequestInit = {}): Promise<number> {
  const response = await fetch(url, { ...init, headers: { "x-api-key": KEY } });
  await response.body?.cancel();
  return response.status;
}

const publish = { method: "POST", body: '{"channel":"news","data":1}' };

Deno.test("B09 with ADMIN_PORT, the API, metrics and traces are on that port only, the rest on the public one", async () => {
  using data = dataFolder();
  await using server = await startMain({ ...ENV, DATA_DIR: data.path, ADMIN_PORT: "0" });
  let admin: string | undefined;
  await until("the other port", () => {
    [, admin] = server.printed().match(/"listener":"admin","url":"([^"]+)"/) ?? [];
    return admin !== undefined;
  });
  const paths = ["/metrics", "/api/stats", "/api/openapi.json", "/api", "/api/trace?channel=news"];
  for (const path of paths) {
    assert.deepEqual([path, await statusOf(server.url + path), await statusOf(admin + path)], [
      path,
      404,
      200,
    ]);
  }
  assert.equal(await statusOf(`${server.url}/api/publish`, publish), 404);
  assert.equal(await statusOf(`${admin}/api/publish`, publish), 200);
  for (const path of ["/", "/health", "/centrifuge.js", "/chat/rooms"]) {
    assert.deepEqual([path, await statusOf(server.url + path), await statusOf(admin + path)], [
      path,
      200,
      404,
    ]);
  }
  const metrics = await (await fetch(`${admin}/metrics`, { headers: { "x-api-key": KEY } })).text();
  assert.match(metrics, /^plugboard_publishes_total\{namespace=""\} 1$/m);
  assert.match(metrics, /^plugboard_refusals_total\{status="404"\} 10$/m, "those of both ports");
  await stopsCleanly(server);
});

Deno.test("B09 without ADMIN_PORT, everything is on one port; PLUGINS=-http_api leaves the API out", async () => {
  using data = dataFolder();
  {
    await using server = await startMain({ ...ENV, DATA_DIR: data.path });
    assert.equal(await statusOf(`${server.url}/api/publish`, publish), 200);
    assert.equal(
      await statusOf(`${server.url}/api/backup`, { method: "POST", body: '{"name":"x.db"}' }),
      200,
    );
    assert.equal(await statusOf(`${server.url}/metrics`), 200);
    await stopsCleanly(server);
  }
  assert.ok(Deno.statSync(new URL(`../../../${data.path}/backups/x.db`, import.meta.url)).isFile);
  await using server = await startMain({ ...ENV, DATA_DIR: data.path, PLUGINS: "-http_api" });
  assert.equal(await statusOf(`${server.url}/api/publish`, publish), 404);
  assert.equal(await statusOf(`${server.url}/metrics`), 200);
});
