import assert from "node:assert/strict";
import { PlugboardError } from "../../../core/mod.ts";
import { type ChannelExtension, Extensions } from "../../../plugins/channels/extensions.ts";
import { everywhere } from "../../kit/remote.ts";
import { ask, logged, serveChannels, subscribed } from "./kit.ts";

everywhere("extensions refuse, add data, and get all events", async (where) => {
  await using server = await serveChannels(where);
  const heard: string[] = [];
  const end = server.bus.extend({
    name: "test",
    beforeSubscribe(_client, channel) {
      if (channel === "closed") throw new PlugboardError("permission_denied", "closed today");
      return { data: () => ({ json: '{"hello":1}' }) };
    },
    beforePublish({ channel, draft: { payload } }) {
      if (payload.text === "666") throw new PlugboardError("bad_request", "no");
      heard.push(`before ${channel}`);
    },
    published: ({ channel }, { offset }) => void heard.push(`published ${channel} ${offset}`),
    delivered: ({ name }, _publication, receivers) => void heard.push(`delivered ${name} ${receivers}`),
    occupied: (channel) => void heard.push(`occupied ${channel}`),
    joined: (_client, { channel }) => void heard.push(`joined ${channel}`),
    left(_client, { channel }) {
      heard.push(`left ${channel}`);
      throw new Error("thrown on purpose");
    },
    vacated: (channel) => void heard.push(`vacated ${channel}`),
  });
  await using client = await server.connect("/t");
  assert.deepEqual(await ask(client, { do: "subscribe", channel: "closed" }), { error: "permission_denied" });
  assert.equal((await ask(client, { do: "subscribe", channel: "a" })).data, '{"hello":1}');
  await assert.rejects(server.bus.publish("a", 666));
  await server.bus.publish("a", 1);
  await client.nextJson();
  await ask(client, { do: "unsubscribe", channel: "a" });
  end();
  await server.bus.publish("a", 2);
  assert.deepEqual(heard, [
    "occupied a",
    "joined a",
    "before a",
    "delivered a 1",
    "published a 1",
    "left a",
    "vacated a",
  ]);
  await logged(server, /left of test failed/);
});

everywhere("an extension can refuse to read the history or the presence", async (where) => {
  await using server = await serveChannels(where);
  await using client = await subscribed(server, "a");
  const asked: string[] = [];
  server.bus.extend({
    name: "test",
    beforeRead(_client, action, channel) {
      asked.push(`${action} ${channel}`);
      throw new PlugboardError("too_many_requests", "not now");
    },
  });
  assert.deepEqual(await ask(client, { do: "history", channel: "a" }), { error: "too_many_requests" });
  assert.deepEqual(asked, ["history a"]);
});

Deno.test("extensions are asked about a subscribe in turn, also those that are removed while another decides", async () => {
  const extensions = new Extensions(() => {});
  const asked: string[] = [];
  const decision = Promise.withResolvers<void>();
  const add = (name: string, answer: ReturnType<NonNullable<ChannelExtension["beforeSubscribe"]>>) =>
    extensions.add({
      name,
      beforeSubscribe() {
        asked.push(name);
        return answer;
      },
    });
  const subscribe = () =>
    extensions.beforeSubscribe(...[] as unknown as Parameters<Extensions["beforeSubscribe"]>);
  const ends = [add("a", { grant: { chanInfo: "a" } }), add("b", undefined)];
  assert.deepEqual(subscribe(), { grant: { chanInfo: "a" } }, "no promise where nothing waits");
  add("c", decision.promise);
  const last = extensions.add({
    name: "d",
    beforeSubscribe() {
      throw new PlugboardError("permission_denied", "never");
    },
  });
  asked.length = 0;
  const pending = subscribe();
  for (const end of [...ends, last]) end();
  assert.deepEqual(asked, ["a", "b", "c"]);
  decision.resolve();
  await assert.rejects(async () => await pending, { code: "permission_denied" });
  add("e", Promise.resolve({ grant: { data: "1" } }));
  add("f", { data: () => ({ json: "2" }) });
  const addition = await subscribe();
  assert.deepEqual([addition?.grant, addition?.data?.({} as never)?.json], [{ data: "1" }, "2"]);
});
