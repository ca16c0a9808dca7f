import assert from "node:assert/strict";
import { channels } from "../../../plugins/channels.ts";
import { channelProtocol } from "../../kit/channel_protocol.ts";
import { serve, until } from "../../kit/mod.ts";

Deno.test("a verdict names the rule that decides, and a check agrees with it", async () => {
  const plugin = channels({
    namespaces: {
      open: { publish: "anyone", subscribe: ["subscriber", "signed_in"] },
      closed: { publish: "nobody", historySize: 0, presence: false },
      mixed: { publish: ["subscriber", "permission"] },
    },
  });
  const bus = plugin.api;
  const identify = (user: string) => ({
    user,
    can: (_verb: string, channel: string) => channel.endsWith(":mine"),
  });
  await using server = await serve({}, plugin, channelProtocol(bus, identify));
  await using _client = await server.connect("/t?user=ann");
  await until("the client", () => bus.clients.size === 1);
  const [ann] = bus.clients.values();
  for (
    const [action, channel, allowed, rule] of [
      ["publish", "open:a", true, "anyone"],
      ["subscribe", "open:a", true, "signed_in"],
      ["publish", "closed:a", false, "nobody"],
      ["publish", "mixed:mine", true, "permission"],
      ["publish", "mixed:a", false, "subscriber, permission"],
      ["publish", "other:a", false, "permission"],
      ["publish", "open:a#bob", false, "users in the channel's name"],
      ["publish", "open:a#ann,bob", true, "anyone"],
      ["publish", "$open:a", false, "private channel"],
      ["publish", "$mixed:mine", true, "permission"],
      ["history", "closed:mine", false, "no history in this namespace"],
      ["presence", "closed:mine", false, "no presence in this namespace"],
      ["history", "other:mine", true, "permission"],
    ] as const
  ) {
    assert.deepEqual(ann!.verdict(action, channel), { allowed, rule }, `${action} ${channel}`);
    assert.deepEqual(
      bus.verdict(identify("ann"), action, channel),
      { allowed, rule },
      `${action} ${channel}`,
    );
    if (allowed) ann!.check(action, channel);
    else assert.throws(() => ann!.check(action, channel), { name: "PlugboardError" }, `${action} ${channel}`);
  }
});
