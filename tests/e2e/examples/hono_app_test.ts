import assert from "node:assert/strict";
import { chromium } from "playwright-core";
import { runExample } from "../../kit/example.ts";
import { Client } from "../../kit/mod.ts";
import { testWith } from "../../kit/programs.ts";

Deno.test("Q07 the routes of the app and the sockets share one port and one session", async () => {
  await using example = await runExample("examples/hono_app.ts");
  const post = (path: string, body: unknown, cookie = "") =>
    fetch(example.url + path, { method: "POST", body: JSON.stringify(body), headers: { cookie } });
  const refused = await post("/posts", { text: "hello" });
  assert.deepEqual([refused.status, await refused.text()], [401, "Sign in first"]);
  await assert.rejects(async () => {
    await using anonymous = await Client.connect(`${example.url}/realtime`);
    while ((await anonymous.nextJson()).type === "error");
    assert.fail("a client without a session connected");
  }, /401|unauthorized/);

  const nameless = await fetch(`${example.url}/session`, { method: "POST", body: "{" });
  assert.deepEqual([nameless.status, await nameless.text()], [400, "A name has 1 to 20 letters"]);
  const signedIn = await post("/session", { name: "ann" });
  const [cookie = ""] = signedIn.headers.get("set-cookie")!.split(";");
  await using client = await Client.connect(`${example.url}/realtime`, [], { cookie });
  assert.equal((await client.nextJson()).data.userId, "ann");
  client.sendJson({ type: "subscribe", channel: "posts" });
  await client.nextJson();
  const posted = await post("/posts", { text: "hello" }, cookie);
  assert.deepEqual([posted.status, await posted.json()], [201, { receivers: 1 }]);
  assert.deepEqual((await client.nextJson()).data, { user: "ann", text: "hello" });
  client.sendJson({ type: "publish", channel: "posts", data: { user: "bob", text: "forged" } });
  assert.equal((await client.nextJson()).type, "error");
  assert.equal(await example.stop(), 0);
});

testWith(
  "chromium",
  "two browsers see each other's posts",
  async (executablePath) => {
    await using example = await runExample("examples/hono_app.ts");
    const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
    try {
      const pages = [];
      for (const name of ["ann", "bob"]) {
        const page = await (await browser.newContext()).newPage();
        page.on("pageerror", (error) => assert.fail(error));
        await page.goto(example.url);
        await page.getByLabel("Your name").fill(name);
        await page.keyboard.press("Enter");
        await page.getByText("live").waitFor();
        await page.getByLabel("Your name").waitFor({ state: "hidden" });
        pages.push(page);
      }
      await pages[0]!.getByLabel("Your post").fill("<b>hello</b>");
      await pages[0]!.keyboard.press("Enter");
      for (const page of pages) await page.getByText("ann: <b>hello</b>").waitFor();
    } finally {
      await browser.close();
    }
  },
);
