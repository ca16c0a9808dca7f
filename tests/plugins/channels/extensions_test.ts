import assert from "node:assert/strict";
import { PlugboardError } from "../../../core/mod.ts";
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
