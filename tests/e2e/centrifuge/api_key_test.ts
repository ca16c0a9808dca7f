import assert from "node:assert/strict";
import { Centrifuge } from "centrifuge";
import { auth } from "../../../plugins/auth.ts";
import { channels } from "../../../plugins/channels.ts";
import { centrifuge } from "../../../plugins/protocols/centrifuge.ts";
import { TRANSPORTS } from "../../kit/centrifuge.ts";
import { serve } from "../../kit/mod.ts";

const KEY = "k".repeat(32);

for (const transport of ["websocket", "http_stream"] as const) {
  Deno.test(`S08 the SDK signs in with an API key in its option headers, over ${transport}`, async () => {
    const access = auth({ apiKeys: [{ name: "news", key: KEY, permissions: ["read:news"] }] });
    const bus = channels({ access: access.api });
    const protocol = centrifuge({ channels: bus.api, access: access.api });
    await using server = await serve({}, access, bus, protocol);
    const endpoint = server.url + TRANSPORTS[transport];
    const connect = (key: unknown) => {
      const sdk = new Centrifuge([{ transport, endpoint }], {
        emulationEndpoint: `${server.url}/emulation`,
        headers: { "x-API-key": key as string },
      });
      sdk.connect();
      return sdk;
    };

    const sdk = connect(KEY);
    await sdk.ready(30_000);
    const news = sdk.newSubscription("news");
    news.subscribe();
    await news.ready(30_000);
    await assert.rejects(sdk.publish("news", 1), { code: 103 });
    sdk.disconnect();

    for (const wrong of ["w".repeat(32), "", 5, null, ["x"], "x".repeat(10_000)]) {
      const refused = connect(wrong);
      const { code } = await new Promise<{ code: number }>((resolve) => refused.on("disconnected", resolve));
      assert.ok([101, 3500, 3501].includes(code), `${String(wrong).slice(0, 10)}: ${code}`);
    }
  });
}
