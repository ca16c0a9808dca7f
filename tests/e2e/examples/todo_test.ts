import assert from "node:assert/strict";
import { type BrowserContext, chromium, type Page } from "playwright-core";
import { deno } from "../../kit/example.ts";
import { freePort } from "../../kit/ports.ts";
import { until, within } from "../../kit/mod.ts";
import { testWith } from "../../kit/programs.ts";

/** Starts the example; it can be killed, and started again on the same port. */
async function start(port: number, folder: string) {
  const env = { PORT: String(port), DATA_DIR: folder };
  const child = deno(["run", "--allow-all", "--no-check", "examples/todo.ts"], { env }).spawn();
  const printed = Promise.all([child.stdout, child.stderr].map((stream) => new Response(stream).text()));
  const url = `http://127.0.0.1:${port}/`;
  const answers = () =>
    fetch(url).then(async (response) => (await response.body?.cancel(), true), () => false);
  await until("the example's start", answers, 60_000);
  return {
    url,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await within("the example's end", Promise.all([child.status, printed]));
    },
  };
}

/** A browser, and a place for the server. */
async function prepare(executablePath: string) {
  const folder = await Deno.makeTempDir();
  const port = freePort();
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  return {
    browser,
    start: () => start(port, folder),
    async [Symbol.asyncDispose]() {
      await browser.close();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

/** A new tab that has what the server has. */
async function visit(context: BrowserContext, url: string): Promise<Page> {
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  page.on("pageerror", (error) => assert.fail(error));
  await page.goto(url);
  await synchronized(page);
  return page;
}

async function add(page: Page, text: string): Promise<void> {
  await page.getByLabel("What is to be done").fill(text);
  await page.keyboard.press("Enter");
  await item(page, text).waitFor();
}

const item = (page: Page, text: string) => page.getByRole("checkbox", { name: text });
const texts = (page: Page) => page.getByRole("list", { name: "To do" }).locator("bdi").allTextContents();
const synchronized = (page: Page) => page.getByText("synchronized", { exact: true }).waitFor();
const left = (page: Page, text: string) => page.getByText(text, { exact: true }).waitFor();

testWith(
  "chromium",
  "T14 T15 two browsers agree on a to-do list, offline and over a restart",
  async (path) => {
    await using parts = await prepare(path);
    // Contexts share nothing: each is a browser of its own.
    const contexts = await Promise.all([1, 2, 3].map(() => parts.browser.newContext()));
    let one: Page, two: Page;
    {
      await using server = await parts.start();
      one = await visit(contexts[0]!, server.url);
      two = await visit(contexts[1]!, server.url);
      await add(one, "Buy <b>bread</b>");
      await item(two, "Buy <b>bread</b>").check();
      await left(one, "0 of 1 left");
      assert.equal(await item(one, "Buy <b>bread</b>").isChecked(), true);

      // One works on alone, and so does the other: both have everything in the end.
      await one.getByLabel("Work offline").check();
      await one.getByText("offline, kept in this browser").waitFor();
      await add(one, "Call Ada");
      await item(one, "Buy <b>bread</b>").uncheck();
      await add(two, "Water the plants");
      assert.deepEqual(await texts(two), ["Buy <b>bread</b>", "Water the plants"]);
      await one.getByLabel("Work offline").uncheck();
      for (const page of [one, two]) await left(page, "3 of 3 left");
      assert.deepEqual(await texts(one), await texts(two));
    }
    // The server is dead. What is changed meanwhile stays in the browser.
    await one.getByText("offline, kept in this browser").waitFor();
    await add(one, "Read a book");
    await two.getByRole("button", { name: "Delete Call Ada" }).click();

    await using server = await parts.start();
    for (const page of [one, two]) {
      await synchronized(page);
      await item(page, "Read a book").waitFor();
      await left(page, "3 of 3 left");
    }
    const third = await visit(contexts[2]!, server.url); // knows nothing but what the server has kept
    await left(third, "3 of 3 left");
    assert.deepEqual((await texts(third)).sort(), ["Buy <b>bread</b>", "Read a book", "Water the plants"]);
  },
);

testWith("chromium", "the tabs of one browser agree without a server, and keep the list", async (path) => {
  await using parts = await prepare(path);
  const context = await parts.browser.newContext();
  let one: Page, two: Page;
  {
    await using server = await parts.start();
    one = await visit(context, server.url);
    two = await visit(context, server.url);
  }
  await add(one, "Call Ada");
  await item(two, "Call Ada").waitFor();
  await add(two, "Buy bread");
  await item(one, "Buy bread").waitFor();
  for (const page of [one, two]) await page.close();

  await using server = await parts.start(); // it has never heard of these
  const again = await visit(context, server.url);
  await left(again, "2 of 2 left");
  assert.deepEqual(await texts(again), ["Call Ada", "Buy bread"]);
});
