/** The SDK with real tokens: sign-in, renewal and expiry, over each transport. */

import assert from "node:assert/strict";
import { type JWTPayload, SignJWT } from "jose";
import { auth } from "../../../plugins/auth.ts";
import { channels } from "../../../plugins/channels.ts";
import { centrifuge } from "../../../plugins/protocols/centrifuge.ts";
import { heard, rowOf, sdkClient, ways } from "../../kit/centrifuge.ts";
import { serve, until } from "../../kit/mod.ts";

const secret = "a secret of the tests, forty bytes long.";

/** A token as a backend makes it. */
function token(claims: JWTPayload, expiresInSeconds: number): Promise<string> {
  const exp = Math.floor(Date.now() / 1000) + expiresInSeconds;
  return new SignJWT({ ...claims, exp }).setProtectedHeader({ alg: "HS256" }).sign(
    new TextEncoder().encode(secret),
  );
}

for (const way of ways) {
  Deno.test(`${rowOf(way)} tokens are fetched, renewed and revoked over ${way}`, async () => {
    const access = auth({ jwt: { secret } });
    const bus = channels();
    const protocol = centrifuge({ channels: bus.api, access: access.api, personalChannels: true });
    await using server = await serve({}, access, bus, protocol);
    const alice = { sub: "alice", info: { name: "Alice" }, channels: ["company"] };
    // The first has expired, the second expires soon, the third does not.
    const tokens = [await token(alice, -10), await token(alice, 2), await token(alice, 600)];
    await using client = sdkClient(server.url, way, {
      getToken: () => Promise.resolve(tokens.shift()!),
    });
    const { sdk } = client;
    const [added, gone, connecting] = [
      heard(sdk, "subscribed"),
      heard(sdk, "disconnected"),
      heard(sdk, "connecting"),
    ];
    const doc = sdk.newSubscription("$doc", {
      joinLeave: true,
      getToken: () => token({ sub: "alice", channel: "$doc", info: { role: "editor" } }, 600),
    });
    const joins = heard(doc, "join");
    doc.subscribe();
    sdk.connect();
    const given = [await added.next(), await added.next()].map(({ channel }) => channel);
    assert.deepEqual(given.sort(), ["#alice", "company"]);
    const { info } = await joins.next();
    assert.deepEqual([info.user, info.connInfo, info.chanInfo], ["alice", { name: "Alice" }, {
      role: "editor",
    }]);

    await until("the renewal of the sign-in", () => {
      const [{ identity } = assert.fail()] = bus.api.clients.values();
      return identity.expiresAt! > Date.now() + 60_000;
    });
    await sdk.publish("company", 1);
    assert.deepEqual([gone.size, connecting.size], [0, 1], "the renewal cost the connection");

    await access.api.revoke({ user: "alice" });
    assert.equal((await gone.next()).code, 3500);
  });
}
