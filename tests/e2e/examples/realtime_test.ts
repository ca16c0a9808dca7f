import assert from "node:assert/strict";
import { chromium } from "playwright-core";
import { runExample, type RunningExample } from "../../kit/example.ts";
import { Client, within } from "../../kit/mod.ts";
import { testWith } from "../../kit/programs.ts";

/** Signs in as the page does. */
async function join({ url }: RunningExample, name: string): Promise<Client> {
  const response = await fetch(`${url}/sign-in`, { method: "POST", body: JSON.stringify({ name }) });
  const client = await Client.connect(`${url}/ws?token=${(await response.json()).token}`);
  assert.equal((await client.nextJson()).data.userId, name);
  return client;
}

/** Skips messages until one of this type and channel. */
// deno-lint-ignore no-explicit-any -- tests look into what they expect
function until(client: Client, type: string, channel: string): Promise<any> {
  async function find() {
    for (;;) {
      const message = await client.nextJson();
      if (message.type === type && message.channel === channel) return message;
    }
  }
  return within(`${type} on ${channel}`, find());
}

async function subscribe(client: Client, ...channels: string[]): Promise<void> {
  for (const channel of channels) {
    client.sendJson({ type: "subscribe", channel, data: { since: 0 } });
    await until(client, "subscribed", channel);
  }
}

Deno.test("S02 S04 S12 the five small apps work as described", async () => {
  await using example = await runExample("examples/realtime.ts");
  await using ann = await join(example, "ann");
  await using bob = await join(example, "bob");

  await subscribe(bob, "table:users");
  assert.deepEqual((await until(bob, "message", "table:users")).data.data, { id: 1, name: "ann" });
  assert.deepEqual((await until(bob, "message", "table:users")).data.data, { id: 2, name: "bob" });

  await subscribe(bob, "chat-room-1", "user:bob:notifications");
  const text = "Hello everyone, and @bob!";
  ann.sendJson({ type: "publish", channel: "chat-room-1", data: { text, user: "bob" } });
  const { userId, data } = await until(bob, "message", "chat-room-1");
  assert.deepEqual([userId, data.text], ["ann", text]);
  const { data: notification } = await until(bob, "message", "user:bob:notifications");
  assert.deepEqual([notification.title, notification.message], ["ann has mentioned you", text]);
  ann.sendJson({ type: "subscribe", channel: "user:bob:notifications" });
  assert.equal((await until(ann, "error", "user:bob:notifications")).data.code, "PERMISSION_DENIED");

  bob.sendJson({ type: "query:subscribe", data: { query: "document", params: { id: "abc" } } });
  const { data: { snapshot } } = await until(bob, "subscribed", "live:document?id=abc");
  assert.deepEqual(snapshot.rows, [{ id: "abc", content: "Everybody writes here." }]);
  ann.sendJson({ type: "publish", channel: "document:abc", data: { content: "Ann wrote this." } });
  const { data: diff } = await until(bob, "message", "live:document?id=abc");
  assert.deepEqual(diff.upsert, [{ id: "abc", content: "Ann wrote this." }]);

  await subscribe(bob, "metrics", "global:notifications");
  assert.match((await until(bob, "message", "global:notifications")).data.message, /for the first time/);
  assert.ok((await until(bob, "message", "metrics")).data.memory > 0);
  bob.sendJson({ type: "publish", channel: "metrics", data: { memory: 0 } });
  assert.equal((await until(bob, "error", "metrics")).data.code, "PERMISSION_DENIED");
  assert.equal(await example.stop(), 0);
});

testWith("chromium", "S03 two browsers see each other in all five apps", async (executablePath) => {
  await using example = await runExample("examples/realtime.ts");
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  try {
    const pages = [];
    for (const name of ["ann", "bob"]) {
      const page = await browser.newPage();
      page.on("pageerror", (error) => assert.fail(error));
      await page.goto(example.url);
      await page.getByLabel("Your name").fill(name);
      await page.keyboard.press("Enter");
      await page.getByText(`${name} is live`).waitFor();
      pages.push(page);
    }
    const [ann, bob] = pages as [typeof pages[0], typeof pages[0]];
    await ann!.getByText("Here: ann, bob").waitFor();
    await ann!.getByLabel("Your message").fill("<b>hello</b> @bob");
    await ann!.keyboard.press("Enter");
    await bob!.getByText("ann: <b>hello</b> @bob").waitFor();
    await bob!.getByText("ann has mentioned you").waitFor();
    await bob!.locator("#users").getByText("ann").waitFor();
    await bob!.locator("#metrics dd").first().waitFor();
    await ann!.getByLabel("The document").fill("first\nsecond");
    await ann!.getByLabel("The document").press("ArrowLeft");
    await bob!.getByText("ann is at line 2").waitFor();
    assert.equal(await bob!.getByLabel("The document").inputValue(), "first\nsecond");
    await ann!.close();
    await bob!.getByText("Here: bob", { exact: true }).waitFor();
  } finally {
    await browser.close();
  }
});
