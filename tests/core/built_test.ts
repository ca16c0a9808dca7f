/** Plugins that were built and forgotten are found at the start. */

import assert from "node:assert/strict";
import { type AnyPlugin, built, type LogRecord, Server } from "../../core/mod.ts";
import { auth } from "../../plugins/auth.ts";
import { type Channels, channels } from "../../plugins/channels.ts";
import { liveQueries } from "../../plugins/live_queries.ts";
import { messageChecks } from "../../plugins/message_checks.ts";
import { persistence } from "../../plugins/persistence.ts";
import { presence } from "../../plugins/presence.ts";
import { centrifuge } from "../../plugins/protocols/centrifuge.ts";
import { json } from "../../plugins/protocols/json.ts";
import { rateLimits } from "../../plugins/rate_limits.ts";
import { rpc } from "../../plugins/rpc.ts";

class DisposableServer extends Server implements AsyncDisposable {
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

function serverWith(...plugins: AnyPlugin[]): DisposableServer {
  const server = new DisposableServer({ port: 0 });
  for (const plugin of plugins) server.use(plugin);
  return server;
}

Deno.test("a start fails if a plugin was given one that no server uses, and names both", async () => {
  await using server = serverWith(presence({ channels: channels().api }));
  await assert.rejects(server.start(), {
    code: "unused_plugin",
    message: 'Cannot start presence: its "channels" is of a plugin channels that no server uses; ' +
      "add it with server.use(…), and pass what that returns",
  });
  const forgotten: [AnyPlugin, RegExp][] = [
    [
      channels({ limits: rateLimits().api }),
      /^Cannot start channels: its "limits" is of a plugin rate_limits /,
    ],
    [json({ channels: channels().api }), /^Cannot start json: its "channels" is of a plugin channels /],
    [rpc({ limits: rateLimits().api }), /^Cannot start rpc: its "limits" is of a plugin rate_limits /],
  ];
  for (const [plugin, message] of forgotten) {
    await using other = serverWith(plugin);
    await assert.rejects(other.start(), { code: "unused_plugin", message });
  }
});

Deno.test("a forgotten plugin opens nothing, and a correct server starts after it", async () => {
  const bus = channels();
  let opened = 0;
  const opens: AnyPlugin = { name: "opens", start: () => void opened++ };
  await using wrong = serverWith(opens, json({ channels: bus.api }));
  await assert.rejects(wrong.start(), { code: "unused_plugin" });
  assert.equal(opened, 0);
  await using right = serverWith(bus, json({ channels: bus.api }));
  await right.start();
});

Deno.test("a plugin that was built with a server's services and not used is named in a warning", async () => {
  const bus = channels();
  messageChecks({ channels: bus.api });
  const records: LogRecord[] = [];
  const log = (record: LogRecord) => void records.push(record);
  await using server = serverWith({ name: "log", log }, bus, json({ channels: bus.api }));
  await server.start();
  const warnings = records.filter(({ level }) => level === "warn").map(({ message }) => message);
  assert.deepEqual(warnings, ["the plugin message_checks was built, but server.use was not called with it"]);
});

/** What a server warns of. */
async function warningsOf(server: Server): Promise<string[]> {
  const records: LogRecord[] = [];
  server.use({ name: "log", log: (record) => void records.push(record) });
  await server.start();
  return records.filter(({ level }) => level === "warn").map(({ message }) => message);
}

Deno.test("a plugin that nothing refers to is named in a warning too", async () => {
  await using server = new DisposableServer({ port: 0 });
  const bus = server.use(channels());
  channels({ defaults: { historySize: 5 } });
  auth({ anonymous: true });
  server.use(json({ channels: bus }));
  const forgotten = (name: string) => `the plugin ${name} was built, but server.use was not called with it`;
  assert.deepEqual(await warningsOf(server), [forgotten("channels"), forgotten("auth")]);
});

Deno.test("a plugin that was built for another server is not taken for a forgotten one", async () => {
  const before = channels();
  await using first = new DisposableServer({ port: 0 });
  await using second = new DisposableServer({ port: 0 });
  first.use(channels());
  const later = channels();
  assert.deepEqual(await warningsOf(first), []);
  second.use(before);
  second.use(later);
  assert.deepEqual(await warningsOf(second), []);
  channels(); // After the start: for no server yet.
});

Deno.test("a plugin within another one is used, whether it is copied or called", async () => {
  const wrappers: [string, (inner: AnyPlugin) => AnyPlugin][] = [
    ["with its API", (inner) => ({ name: "renamed", api: (inner as { api?: unknown }).api })],
    ["as a copy with another API", (inner) => ({ ...inner, api: {} })],
    ["as a part", (inner) => {
      const wrapper: AnyPlugin = {
        name: "part",
        start: (host) => inner.start?.(host),
        stop: () => inner.stop?.(),
      };
      return built(wrapper, {}, [inner]);
    }],
  ];
  for (const [way, wrap] of wrappers) {
    await using server = new DisposableServer({ port: 0 });
    const limits = server.use(rateLimits());
    const inner = channels({ limits });
    server.use(wrap(inner));
    server.use(json({ channels: inner.api }));
    assert.deepEqual(await warningsOf(server), [], way);
  }
});

Deno.test("a service may be of another server's plugin, or no plugin's at all", async () => {
  const bus = channels();
  await using first = serverWith(bus);
  const own: Pick<Channels, "extend"> = { extend: () => () => {} };
  const greeter = built<AnyPlugin>({ name: "greeter" }, { channels: own, limits: undefined, name: "x" });
  await using second = serverWith(greeter, json({ channels: bus.api }));
  await first.start();
  await second.start();
});

Deno.test("a plugin in the place of what server.use returned is refused with a sentence", () => {
  const itself = (name: string, option: string, plugin: string) => ({
    code: "bad_option",
    message:
      `Cannot start ${name}: "${option}" must be what server.use(…) returned, got the plugin ${plugin} itself`,
  });
  // As in a program that Deno runs without checking its types.
  const bus = channels() as unknown as Channels;
  for (const factory of [presence, json, centrifuge, messageChecks, liveQueries]) {
    const name = factory.name.replace(/[A-Z]/, (letter) => `_${letter.toLowerCase()}`);
    assert.throws(() => factory({ channels: bus }), itself(name, "channels", "channels"));
  }
  const access = auth() as unknown as ReturnType<typeof auth>["api"];
  assert.throws(() => channels({ access }), itself("channels", "access", "auth"));
  const store = persistence() as unknown as ReturnType<typeof persistence>["api"];
  assert.throws(
    () => liveQueries({ channels: channels().api, store }),
    itself("live_queries", "store", "persistence"),
  );
});
