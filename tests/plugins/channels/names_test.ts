import assert from "node:assert/strict";
import { channels, type ChannelsOptions } from "../../../plugins/channels.ts";
import { channelProtocol } from "../../kit/channel_protocol.ts";
import { serve } from "../../kit/mod.ts";
import { everywhere } from "../../kit/remote.ts";
import { ask, serveChannels } from "./kit.ts";

everywhere("S11 a namespace can allow longer names than the others", async (where) => {
  await using server = await serveChannels(where, { namespaces: { long: { maxNameBytes: 300 } } });
  const name = (namespace: string, bytes: number) => `${namespace}:`.padEnd(bytes, "x");
  for (
    const [channel, fits] of [
      [name("long", 300), true],
      [name("long", 301), false],
      [name("other", 255), true],
      [name("other", 256), false],
    ] as const
  ) {
    const published = server.bus.publish(channel, 1);
    if (fits) await published;
    else await assert.rejects(published, { code: "bad_request" }, channel);
  }
});

everywhere(
  "S11 channel names with path tricks, control characters or too many bytes are refused everywhere",
  async (where) => {
    await using server = await serveChannels(where);
    await using client = await server.connect("/t");
    const bad = [
      "",
      "../x",
      "a/../b",
      "/a",
      "a//b",
      "a/",
      "a\\b",
      "a\nb",
      "a\u0000",
      "\u007f",
      "\ud800",
      "x".repeat(256),
      "é".repeat(128),
      "q?\n",
    ];
    for (const channel of bad) {
      await assert.rejects(server.bus.publish(channel, 1), {
        code: "bad_request",
        message: "Invalid channel name format",
      }, JSON.stringify(channel));
      assert.throws(() => server.bus.subscribe(channel, () => {}));
      assert.deepEqual(await ask(client, { do: "subscribe", channel }), { error: "bad_request" });
    }
    for (
      const channel of [
        "a",
        "user:alice:notifications",
        "a/b/c",
        "x".repeat(255),
        "é".repeat(127),
        "live:q?a=..",
        "日本",
      ]
    ) {
      assert.equal((await server.bus.publish(channel, 1)).offset, 1);
    }
  },
);

everywhere("onlyKnown refuses channels of other namespaces", async (where) => {
  await using server = await serveChannels(where, {
    onlyKnown: true,
    namespaces: { chat: { historySize: 0 } },
  });
  assert.equal((await server.bus.publish("chat:a", 1)).offset, 0);
  await assert.rejects(server.bus.publish("other:a", 1), { code: "unknown_channel" });
  await assert.rejects(server.bus.history("chat:a"), { code: "not_available" });
});

Deno.test("invalid options are explained in one sentence", () => {
  const sentence = (options: ChannelsOptions) => {
    try {
      channels(options);
    } catch (error) {
      return (error as Error).message;
    }
  };
  assert.equal(
    sentence({ maxChannelsPerClient: 0 }),
    'Cannot start channels: "maxChannelsPerClient" must be a positive integer, got 0',
  );
  assert.equal(
    sentence({ namespaces: { "orders:eu": {} } }),
    'Cannot start channels: "namespaces" must be the part of a channel\'s name before the colon, without the $ of a private channel, got "orders:eu"',
  );
  assert.equal(
    sentence({ namespaces: { chat: { historySize: -1 } } }),
    'Cannot start the channel namespace "chat": "historySize" must be zero or a positive integer, got -1',
  );
  assert.equal(
    sentence({ namespaces: { chat: { publish: "everyone" as "anyone" } } }),
    'Cannot start the channel namespace "chat": "publish" must be one of nobody, anyone, signed_in, subscriber, permission, got "everyone"',
  );
});

everywhere("channels with user ids in the name are only for these users", async (where) => {
  await using server = await serveChannels(where);
  for (
    const [user, channel, allowed] of [
      ["42", "#42", true],
      ["42", "dialog#41,42", true],
      ["4", "#42", false],
      ["", "#", false],
      ["42", "#42,", true],
      ["42", "a#42#43", false],
    ] as const
  ) {
    await using client = await server.connect(`/t?user=${user}`);
    const reply = await ask(client, { do: "subscribe", channel });
    assert.equal(reply.subscribed === channel, allowed, `${user} in ${channel}`);
    if (!allowed) assert.deepEqual(reply, { error: "permission_denied" });
  }
});

Deno.test("a channel that begins with $ needs a grant", async () => {
  const plugin = channels();
  const identify = () => ({ user: "", can: (_: unknown, channel: string) => !channel.startsWith("$") });
  await using server = await serve({}, plugin, channelProtocol(plugin.api, identify));
  await using client = await server.connect("/t");
  assert.deepEqual(await ask(client, { do: "subscribe", channel: "$a" }), { error: "permission_denied" });
  assert.equal((await ask(client, { do: "subscribe", channel: "$a", grant: {} })).subscribed, "$a");
});
