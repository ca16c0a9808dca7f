import assert from "node:assert/strict";
import { paths, storedMail } from "../../../plugins/paths.ts";
import { persistence } from "../../../plugins/persistence.ts";
import { MessagePayload, pipe } from "../../../plugins/protocols/pipe.ts";
import { FakeClock, serve, until } from "../../kit/mod.ts";

async function storedServer(file: string, clock: FakeClock) {
  const store = persistence({ path: file });
  const tenants = paths({ mailStore: storedMail(store.api) });
  const server = await serve({ clock }, store, tenants, pipe({ paths: tenants.api }));
  return { ...server, paths: tenants.api };
}

Deno.test("T04 messages kept for an absent client survive a restart, and expire", async () => {
  const folder = await Deno.makeTempDir();
  const clock = new FakeClock(Date.now());
  const tokens: string[] = [];
  {
    await using server = await storedServer(`${folder}/mail.db`, clock);
    await using sender = await server.connect("/ws/room");
    for (let i = 0; i < 2; i++) {
      const client = await server.connect("/ws/room?clientId=new");
      const { clientId, clientToken } = JSON.parse(MessagePayload.parse(await client.nextText()).body);
      tokens.push(`clientId=${clientId}&clientToken=${clientToken}`);
      await client.close();
      await until("the client to leave", () => server.paths.getClientIds("room").length === 1);
      for (const body of ["one", "t|w|o \0", "three"]) sender.send(`${clientId}|${i}|note|${body}`);
      await until("the messages to be kept", () => server.paths.getStats().kept === 3 * (i + 1));
    }
  }
  {
    await using server = await storedServer(`${folder}/mail.db`, clock);
    assert.equal(server.paths.getStats().kept, 6);
    await using back = await server.connect(`/ws/room?${tokens[0]}`);
    const bodies = [await back.nextText(), await back.nextText(), await back.nextText()];
    assert.deepEqual(bodies.map((text) => MessagePayload.parse(text).body), ["one", "t|w|o \0", "three"]);
  }
  {
    await using server = await storedServer(`${folder}/mail.db`, clock);
    assert.equal(server.paths.getStats().kept, 3);
    clock.advance(3_600_001);
    assert.equal(server.paths.getStats().kept, 0);
  }
  await using server = await storedServer(`${folder}/mail.db`, clock);
  assert.equal(server.paths.getStats().kept, 0);
  await using back = await server.connect(`/ws/room?${tokens[1]}`); // the same client, without messages
  assert.equal(server.paths.getClientIds("room").length, 1);
  assert.equal(back.waiting, 0);
  await Deno.remove(folder, { recursive: true });
});
