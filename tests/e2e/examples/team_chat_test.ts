import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { type Browser, chromium, type Page } from "playwright-core";
import { sdkClient } from "../../kit/centrifuge.ts";
import { runExample } from "../../kit/example.ts";
import { within } from "../../kit/mod.ts";
import { testWith } from "../../kit/programs.ts";

const PASSWORD = "correct horse";

/** Opens the page in a browser of its own and signs up. */
async function signUp(browser: Browser, url: string, name: string): Promise<Page> {
  const page = await (await browser.newContext()).newPage();
  page.setDefaultTimeout(30_000);
  page.on("pageerror", (error) => assert.fail(error));
  await page.goto(url);
  await page.getByLabel("Name", { exact: true }).fill(name);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign up" }).click();
  await page.getByText(`${name} is live`).waitFor();
  return page;
}

const button = (page: Page, name: string) => page.getByRole("button", { name, exact: true });

async function say(page: Page, text: string): Promise<void> {
  await page.getByLabel("Message", { exact: true }).fill(text);
  await page.keyboard.press("Enter");
}

testWith("chromium", "members talk in a private room, and others see what is unread", async (path) => {
  const folder = await Deno.makeTempDir();
  await using example = await runExample("examples/team_chat.ts", { DATA_DIR: folder });
  const browser = await chromium.launch({ executablePath: path, args: ["--no-sandbox"] });
  try {
    const [ann, bob] = [
      await signUp(browser, example.url, "ann"),
      await signUp(browser, example.url, "bob"),
    ];
    await ann.getByLabel("A new room").fill("Plans <b>");
    await ann.keyboard.press("Enter");
    await ann.getByRole("heading", { name: "Plans <b>" }).waitFor();
    await ann.getByLabel("A member").fill("carl");
    await button(ann, "Invite").click();
    await ann.getByText("There is no user carl").waitFor();
    await ann.getByLabel("A member").fill("bob");
    await button(ann, "Invite").click();
    await button(bob, "Plans <b>").waitFor();

    await say(ann, "<i>one</i>");
    await button(bob, "Plans <b> (1 unread)").waitFor();
    await say(ann, "two");
    await button(bob, "Plans <b> (2 unread)").click();
    await bob.getByRole("list", { name: "Messages" }).getByText("<i>one</i>").waitFor();
    await button(bob, "Plans <b>").waitFor();
    await ann.getByRole("list", { name: "Who is here" }).getByText("bob").waitFor();
    await bob.getByLabel("Message", { exact: true }).pressSequentially("thr");
    await ann.getByText("bob is typing").waitFor();
    await say(bob, "three");
    await ann.getByRole("list", { name: "Messages" }).getByText("three").waitFor();

    // The session survives a reload.
    await bob.reload();
    await bob.getByText("bob is live").waitFor();
    await button(bob, "Plans <b>").click();
    await bob.getByRole("list", { name: "Messages" }).getByText("three").waitFor();

    // A removed member has the room no more, at once.
    await ann.getByLabel("A member").fill("bob");
    await button(ann, "Remove").click();
    await bob.getByRole("heading", { name: "Plans <b>" }).waitFor({ state: "hidden" });
    await button(bob, "Plans <b>").waitFor({ state: "detached" });
    await button(bob, "Sign out").click();
    await bob.getByText("not signed in").waitFor();
    await bob.getByLabel("Name", { exact: true }).fill("bob");
    await bob.getByLabel("Password").fill("not this one");
    await button(bob, "Sign in").click();
    await bob.getByText("The name or the password is wrong.").waitFor();
  } finally {
    await browser.close();
    await example.stop();
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a room of the team chat is closed to all but its members", async () => {
  const folder = await Deno.makeTempDir();
  await using example = await runExample("examples/team_chat.ts", { DATA_DIR: folder });
  const post = (path: string, body: unknown, cookie = "") =>
    fetch(`${example.url}/sign/${path}`, { method: "POST", body: JSON.stringify(body), headers: { cookie } });
  async function statusOf(answer: Promise<Response>): Promise<number> {
    const { status, body } = await answer;
    await body?.cancel();
    return status;
  }
  async function enter(name: string) {
    const cookie = (await post("up", { name, password: PASSWORD })).headers.get("set-cookie")!;
    assert.match(cookie, /HttpOnly; SameSite=Strict/);
    const session = cookie.split(";")[0]!;
    const { token } = await (await post("token", null, session)).json();
    const client = sdkClient(example.url, "websocket", { token });
    client.sdk.connect();
    await client.sdk.ready();
    return Object.assign(client, { session: session.slice("session=".length) });
  }
  const codeOf = (action: Promise<unknown>) => action.then(() => 200, ({ code }) => code as number);

  {
    await using ann = await enter("ann");
    await using eve = await enter("eve");
    const { data: room } = await ann.sdk.rpc("createRoom", { name: "Plans" });
    assert.equal(await codeOf(ann.sdk.rpc("say", { room, text: "secret" })), 200);

    for (
      const [method, args] of [
        ["say", { room, text: "hello" }],
        ["invite", { room, user: "eve" }],
        ["remove", { room, user: "ann" }],
      ] as const
    ) assert.equal(await codeOf(eve.sdk.rpc(method, args)), 403, method);
    assert.equal(await codeOf(eve.sdk.rpc("say", { room: "1 OR 1", text: "x" })), 400);
    for (
      const channel of [
        `room:${room}`,
        `room:0${room}`,
        `live:messages?room=${room}`,
        "live:rooms?user=ann",
        "room:",
        "other",
      ]
    ) {
      const subscription = eve.sdk.newSubscription(channel);
      const ended = new Promise<number>((resolve) =>
        subscription.on("unsubscribed", ({ code }) => resolve(code))
      );
      subscription.subscribe();
      assert.equal(await ended, 103, channel);
    }
    assert.equal(await codeOf(eve.sdk.publish(`room:${room}`, { typing: true })), 103);

    // What a member has subscribed to ends with the membership.
    await ann.sdk.rpc("invite", { room, user: "eve" });
    const ends: Promise<number>[] = [];
    // The third one is another name for the first.
    for (const channel of [`live:messages?room=${room}`, `room:${room}`, `live:messages?room=0${room}`]) {
      const subscription = eve.sdk.getSubscription(channel) ?? eve.sdk.newSubscription(channel);
      subscription.subscribe();
      await subscription.ready();
      ends.push(new Promise((resolve) => subscription.on("unsubscribed", ({ code }) => resolve(code))));
    }
    await eve.sdk.publish(`room:${room}`, { typing: true });
    await ann.sdk.rpc("remove", { room, user: "eve" });
    assert.deepEqual(await within("the ends", Promise.all(ends)), [103, 103, 103]);

    // The cookie is no token, and a token is no cookie.
    assert.deepEqual(await (await post("token", null)).json(), {});
    assert.equal(await statusOf(post("up", { name: "ann", password: PASSWORD })), 403);
    assert.equal(await statusOf(post("in", { name: "ann", password: 5 })), 403);
    assert.equal(await statusOf(post("in", null)), 403);
    assert.equal(await statusOf(fetch(`${example.url}/sign/in`, { method: "POST", body: "{" })), 403);
    const query = await fetch(`${example.url}/connection/http_stream`, {
      method: "POST",
      body: JSON.stringify({ id: 1, connect: { token: eve.session } }),
    });
    assert.match(await query.text(), /invalid token/);
  }
  assert.equal(await example.stop(), 0);

  // The database has no password.
  const database = new DatabaseSync(`${folder}/team_chat.db`, { readOnly: true });
  const users = database.prepare("SELECT * FROM users").all();
  database.close();
  assert.equal(users.length, 2);
  for (const { hash, salt } of users) {
    assert.deepEqual([(hash as Uint8Array).length, (salt as Uint8Array).length], [32, 16]);
  }
  await Deno.remove(folder, { recursive: true });
});
