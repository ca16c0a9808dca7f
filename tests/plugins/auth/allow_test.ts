/** The checks for the option `allow` of other plugins. */

import assert from "node:assert/strict";
import type { Access } from "../../../plugins/auth.ts";
import { channels } from "../../../plugins/channels.ts";
import { paths } from "../../../plugins/paths.ts";
import { pipe } from "../../../plugins/protocols/pipe.ts";
import { stats } from "../../../plugins/stats.ts";
import { RawClient } from "../../kit/mod.ts";
import { refusedUpgrade, serveAuth, token } from "./kit.ts";

Deno.test("T12 a path requires the permission to read, changes require the permission to write", async () => {
  await using server = await serveAuth(undefined, {
    more: (access) => {
      const tenants = paths({ allow: access.allowPath });
      return [tenants, pipe({ paths: tenants.api, path: "/relay" })];
    },
  });
  const path = async (...permissions: string[]) =>
    `/relay/acme?token=${await token({ sub: "alice", permissions })}`;

  assert.equal((await refusedUpgrade(server, "/relay/acme")).status, 401);
  assert.equal((await refusedUpgrade(server, await path("read:path:other"))).status, 403);

  await using reader = await server.connect(await path("read:path:acme"));
  await using writer = await server.connect(await path("read:path:acme", "write:path:acme"));
  reader.send("|1|note|from the reader");
  assert.match(await reader.nextText(), /^S\|1\|error\|.*"read_only"/);
  writer.send("|2|note|from the writer");
  assert.match(await reader.nextText(), /\|2\|note\|from the writer$/);
  assert.equal(writer.waiting, 0);
});

Deno.test("B13 metrics require a permission", async () => {
  await using server = await serveAuth(undefined, { more: (access) => metrics(access) });
  const status = async (permissions: string[]) => {
    const authorization = `Bearer ${await token({ sub: "alice", permissions })}`;
    const response = await fetch(`${server.url}/metrics`, { headers: { authorization } });
    await response.body?.cancel();
    return response.status;
  };
  assert.equal(await status(["*"]), 403, "`*` does not include admin");
  assert.equal(await status(["admin"]), 200);
});

Deno.test("missing and invalid credentials for metrics are refused without a logged error", async () => {
  await using server = await serveAuth(undefined, { more: (access) => metrics(access) });
  const status = async (headers: Record<string, string>) => {
    const response = await fetch(`${server.url}/metrics`, { headers });
    await response.body?.cancel();
    return response.status;
  };
  assert.equal(await status({}), 403);
  assert.equal(await status({ authorization: "Bearer nonsense" }), 403);
  assert.equal(await status({ "x-api-key": "nonsense" }), 403);
  assert.deepEqual(server.log.take(), []);
});

Deno.test("a DNS-rebinding page cannot read the metrics of a server without sign-in", async () => {
  await using server = await serveAuth({ origins: ["https://app.example.com"] }, {
    more: (access) => metrics(access),
  });
  const status = async (headers: Record<string, string>) => {
    using raw = await RawClient.connect(server.port);
    return (await raw.request("/metrics", { upgrade: "", ...headers })).split(" ")[1];
  };
  assert.equal(await status({ host: `127.0.0.1:${server.port}` }), "200");
  assert.equal(await status({ host: "app.example.com" }), "200");
  assert.equal(await status({ host: "evil.com" }), "403");
  assert.equal(await status({ host: `127.0.0.1:${server.port}`, origin: "http://evil.com" }), "403");
});

Deno.test("a DNS-rebinding page cannot connect to a server without sign-in, even without an origin", async () => {
  await using server = await serveAuth({});
  const status = async (headers: Record<string, string>) => {
    using raw = await RawClient.connect(server.port);
    return (await raw.request("/me", headers)).split(" ")[1];
  };
  assert.equal(await status({ host: `localhost:${server.port}` }), "101");
  assert.equal(await status({ host: "evil.com" }), "403");
});

function metrics(access: Access) {
  const bus = channels();
  return [bus, stats({ channels: bus.api, allow: access.allowRequest("admin", "metrics") })];
}
