import assert from "node:assert/strict";
import * as Y from "yjs";
import { type Browser, chromium, type Page } from "playwright-core";
import { runExample, type RunningExample } from "../../kit/example.ts";
import { Client, until, within } from "../../kit/mod.ts";
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
function received(client: Client, type: string, channel: string): Promise<any> {
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
    await received(client, "subscribed", channel);
  }
}

Deno.test("S02 S04 S12 the five small apps work as described", async () => {
  await using example = await runExample("examples/realtime.ts");
  const nameless = await fetch(`${example.url}/sign-in`, { method: "POST", body: "{" });
  assert.deepEqual([nameless.status, await nameless.text()], [400, "A name has 1 to 20 letters"]);
  await using ann = await join(example, "ann");
  await using bob = await join(example, "bob");

  await subscribe(bob, "table:users");
  assert.deepEqual((await received(bob, "message", "table:users")).data.data, { id: 1, name: "ann" });
  assert.deepEqual((await received(bob, "message", "table:users")).data.data, { id: 2, name: "bob" });

  await subscribe(bob, "chat-room-1", "user:bob:notifications");
  const text = "Hello everyone, and @bob";
  ann.sendJson({ type: "publish", channel: "chat-room-1", data: { text, user: "bob" } });
  const { userId, data } = await received(bob, "message", "chat-room-1");
  assert.deepEqual([userId, data.text], ["ann", text]);
  const { data: notification } = await received(bob, "message", "user:bob:notifications");
  assert.deepEqual([notification.title, notification.message], ["ann has mentioned you", text]);
  ann.sendJson({ type: "subscribe", channel: "user:bob:notifications" });
  assert.equal((await received(ann, "error", "user:bob:notifications")).data.code, "PERMISSION_DENIED");

  bob.sendJson({ type: "query:subscribe", data: { query: "talkers" } });
  const { data: { snapshot } } = await received(bob, "subscribed", "live:talkers");
  assert.deepEqual(snapshot.rows, [{ user: "ann", messages: 1 }]);
  ann.sendJson({ type: "publish", channel: "chat-room-1", data: { text: "Again" } });
  const { data: diff } = await received(bob, "message", "live:talkers");
  assert.deepEqual(diff.upsert, [{ user: "ann", messages: 2 }]);

  const answer = (method: string, params: unknown) => {
    ann.sendJson({ type: "rpc", id: "call", data: { method, params } });
    return within(
      "an answer",
      (async () => {
        for (;;) {
          const message = await ann.nextJson();
          if (message.id === "call") return message;
        }
      })(),
    );
  };
  for (const [method, params] of [["document.edit", "BBBB"], ["document.edit", 5], ["document.sync", "/"]]) {
    assert.equal((await answer(method as string, params)).type, "error", JSON.stringify([method, params]));
  }
  // A document has an end. Each change adds letters of another client.
  let sent = 0, last = { type: "", data: { message: "" } };
  while (last.type !== "error") {
    const change = new Y.Doc();
    change.getText().insert(0, "x".repeat(40_000));
    last = await answer("document.edit", Y.encodeStateAsUpdate(change).toBase64());
    sent++;
  }
  assert.equal(last.data.message, "The document is full: delete something, and the rest will be sent");
  assert.equal(sent, 25);
  // A deletion fits, and makes room for what was refused.
  const { data: { update } } = await answer("document.sync", Y.encodeStateVector(new Y.Doc()).toBase64());
  const mine = new Y.Doc();
  Y.applyUpdate(mine, Uint8Array.fromBase64(update));
  const before = Y.encodeStateVector(mine);
  mine.getText().insert(0, "y".repeat(45_000));
  const refused = Y.encodeStateAsUpdate(mine, before).toBase64();
  assert.equal((await answer("document.edit", refused)).type, "error");
  mine.getText().delete(0, 100_000);
  const fits = Y.encodeStateAsUpdate(mine, before).toBase64();
  assert.equal((await answer("document.edit", fits)).type, "rpc:result");

  await subscribe(bob, "metrics", "global:notifications");
  assert.match((await received(bob, "message", "global:notifications")).data.message, /for the first time/);
  assert.ok((await received(bob, "message", "metrics")).data.memory > 0);
  bob.sendJson({ type: "publish", channel: "metrics", data: { memory: 0 } });
  assert.equal((await received(bob, "error", "metrics")).data.code, "PERMISSION_DENIED");
  assert.equal(await example.stop(), 0);
});

const documentOf = (page: Page) => page.getByLabel("The document");
const textOf = (page: Page) => documentOf(page).inputValue();

async function signIn(browser: Browser, { url }: RunningExample, name: string): Promise<Page> {
  const context = await browser.newContext();
  await context.addInitScript(
    "WebSocket = class extends WebSocket { constructor(url) { globalThis.lastSocket = super(url); } }",
  );
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  page.on("pageerror", (error) => assert.fail(error));
  await page.goto(url);
  await page.getByLabel("Your name").fill(name);
  await page.keyboard.press("Enter");
  await page.getByText(`${name} is live`).waitFor();
  return page;
}

testWith("chromium", "two people type a document at full speed, and no letter is lost", async (path) => {
  await using example = await runExample("examples/realtime.ts");
  const browser = await chromium.launch({ executablePath: path, args: ["--no-sandbox"] });
  try {
    const pages = [await signIn(browser, example, "ann"), await signIn(browser, example, "bob")];
    const [ann, bob] = pages as [Page, Page];
    const same = async (...others: Page[]) => {
      const text = await textOf(ann);
      return (await Promise.all(others.map(textOf))).every((other) => other === text) && text;
    };
    const agreed = async (what: string, letters: number) => {
      await until(what, async () => await same(bob) !== false && (await textOf(ann)).length === letters);
      return await textOf(ann);
    };

    // Both write into the same line. Each one's letters keep their order.
    const [his, hers] = ["abcdefghij".repeat(15), "0123456789".repeat(15)];
    await Promise.all([
      documentOf(ann).pressSequentially(hers),
      documentOf(bob).pressSequentially(his),
    ]);
    const text = await agreed("the same text", 300);
    assert.equal(text.replaceAll(/\D/g, ""), hers);
    assert.equal(text.replaceAll(/\d/g, ""), his);

    // One corrects the beginning while the other goes on at the end.
    await documentOf(ann).press("Control+Home");
    await documentOf(bob).press("Control+End");
    await Promise.all([
      documentOf(ann).pressSequentially("# Title 😀"),
      documentOf(bob).pressSequentially(" The end."),
    ]);
    assert.equal(await agreed("both ends", 319), `# Title 😀${text} The end.`);
    // Undo takes back one's own letters only.
    await documentOf(ann).press("Control+z");
    await until("ann's words are undone", async () => !(await textOf(bob)).includes("😀"));
    assert.equal((await textOf(bob)).replaceAll(/[\d#]/g, "").replace(/^.*Title ?/, ""), `${his} The end.`);
    await documentOf(ann).press("Control+Shift+Z");
    assert.equal(await agreed("both ends again", 319), `# Title 😀${text} The end.`);

    // What is typed without a connection is sent later, and a third one gets everything.
    await ann.context().setOffline(true);
    await ann.evaluate("lastSocket.close()");
    await documentOf(ann).press("Control+Home");
    await documentOf(ann).pressSequentially("offline");
    await documentOf(bob).pressSequentially(" Online.");
    await ann.context().setOffline(false);
    const complete = await agreed("the text after the connection is back", 334);
    assert.equal(complete, `offline# Title 😀${text} The end. Online.`);
    const cat = await signIn(browser, example, "cat");
    await until("the whole text", async () => await textOf(cat) === complete);
  } finally {
    await browser.close();
  }
});

testWith("chromium", "S03 two browsers see each other in all five apps", async (executablePath) => {
  await using example = await runExample("examples/realtime.ts");
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  try {
    const pages = [await signIn(browser, example, "ann"), await signIn(browser, example, "bob")];
    const [ann, bob] = pages as [Page, Page];
    await ann.getByText("Here: ann, bob").waitFor();
    await ann.getByLabel("Your message").fill("<b>hello</b> @bob");
    await ann.keyboard.press("Enter");
    await bob.getByText("ann: <b>hello</b> @bob").waitFor();
    await bob.getByText("ann has mentioned you").waitFor();
    await bob.locator("#users").getByText("ann").waitFor();
    await bob.locator("#metrics dd").first().waitFor();
    await ann.getByLabel("The document").fill("first\nsecond");
    await ann.getByLabel("The document").press("ArrowLeft");
    await bob.getByText("ann is at line 2").waitFor();
    assert.equal(await textOf(bob), "first\nsecond");
    await ann.close();
    await bob.getByText("Here: bob", { exact: true }).waitFor();
  } finally {
    await browser.close();
  }
});
