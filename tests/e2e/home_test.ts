import assert from "node:assert/strict";
import { SignJWT } from "jose";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { freePort, until } from "../kit/mod.ts";
import { testWith } from "../kit/programs.ts";
import { cutOff, hasFocus, nameless, pale, showSignIn, width } from "../plugins/home/in_page.js";
import { homeServer, SECRET } from "../plugins/home/kit.ts";

/** Opens a browser and collects the errors of its pages. */
async function open(executablePath: string) {
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  const errors: string[] = [];
  const listen = (page: Page) => {
    page.setDefaultTimeout(30_000);
    page.on("pageerror", (error) => errors.push(String(error)));
    page.on("console", (line) => {
      if (["error", "warning"].includes(line.type())) errors.push(line.text());
    });
  };
  return {
    browser,
    errors,
    async context(options: Parameters<Browser["newContext"]>[0] = {}) {
      const context = await browser.newContext(options);
      context.on("page", listen);
      return context;
    },
    [Symbol.asyncDispose]: () => browser.close(),
  };
}

/** Opens the page in a tab and waits for the given state. */
async function tab(context: BrowserContext, url: string, state = "Connected"): Promise<Page> {
  const page = await context.newPage();
  await page.goto(url);
  await status(page, state);
  return page;
}

const status = (page: Page, text: string) =>
  page.getByRole("status").getByText(text, { exact: true }).waitFor();
const messages = (page: Page) =>
  page.getByRole("log").getByRole("listitem").locator("> bdi").allTextContents();
const people = (page: Page) => page.getByRole("list", { name: "Who is here" }).getByRole("listitem");
const historyRow = (page: Page) => page.getByRole("table", { name: "latest messages" }).locator("tbody tr");
const votesFor = (page: Page, idea: string) => page.getByRole("row", { name: idea }).locator("output");

async function publish(page: Page, text: string): Promise<void> {
  await page.getByLabel("Message", { exact: true }).fill(text);
  await page.keyboard.press("Enter");
}

testWith(
  "chromium",
  "B15 two tabs exchange messages, see each other, and show the history",
  async (executable) => {
    await using server = await homeServer();
    await using browser = await open(executable);
    const context = await browser.context();
    const one = await tab(context, server.url);
    const two = await tab(context, server.url);

    await publish(one, "Hello");
    await two.getByRole("log").getByText("Hello").waitFor();
    const hostile = "<img src=x onerror=alert(1)> \u202E&amp; 😀 " + "w".repeat(300);
    await publish(two, hostile);
    await one.getByRole("log").getByText(hostile).waitFor();
    await server.bus.publish("lobby", { text: 5, from: "a backend" });
    await one.getByRole("log").getByText('the server {"text":5,"from":"a backend"}').waitFor();
    assert.deepEqual(await messages(one), ["Hello", hostile, '{"text":5,"from":"a backend"}']);

    await people(one).nth(1).waitFor();
    assert.match(await people(one).nth(0).innerText(), /^guest \w{4}\s+this tab$/);
    await people(two).nth(1).waitFor();
    assert.equal(await people(two).count(), 2);

    await one.reload();
    await historyRow(one).nth(2).waitFor();
    assert.deepEqual(await historyRow(one).locator("td:first-child").allTextContents(), ["3", "2", "1"]);
    assert.deepEqual(await messages(one), []);

    await two.close();
    await people(one).nth(1).waitFor({ state: "detached" });
    await one.getByText("1 client here").waitFor();
    assert.deepEqual(browser.errors, []);
  },
);

testWith("chromium", "a live query shows the same rows in both tabs", async (executable) => {
  await using server = await homeServer();
  await using browser = await open(executable);
  const context = await browser.context();
  const one = await tab(context, server.url);
  const two = await tab(context, server.url);

  await one.getByLabel("Idea").fill("A wall of <b>notes</b>");
  await one.keyboard.press("Enter");
  await two.getByRole("button", { name: "Vote for A wall of <b>notes</b>" }).click();
  await one.getByRole("button", { name: "Vote for A wall of <b>notes</b>" }).click();
  for (const page of [one, two]) {
    await votesFor(page, "A wall of <b>notes</b>").getByText("2", { exact: true }).waitFor();
    const ideas = await page.getByRole("table", { name: "What will you build?" }).locator("tbody bdi")
      .allTextContents();
    assert.deepEqual(ideas, ["A wall of <b>notes</b>", "A chat", "A board of orders", "A game for two"]);
  }
  await one.getByLabel("Idea").fill("   ");
  await one.getByRole("button", { name: "Add" }).click();
  await one.getByRole("alert").getByText("An idea has 1 to 60 letters.").waitFor();
  assert.deepEqual(browser.errors, []);
});

for (const viewport of [{ width: 1280, height: 800 }, { width: 400, height: 800 }]) {
  testWith(
    "chromium",
    `B16 messages and people are on the first screen at ${viewport.width} pixels`,
    async (executable) => {
      await using server = await homeServer();
      await using browser = await open(executable);
      const page = await tab(await browser.context({ viewport }), server.url);
      await people(page).nth(0).waitFor();
      for (
        const part of [
          page.getByRole("button", { name: "Publish" }),
          page.getByRole("log"),
          people(page).nth(0),
        ]
      ) {
        const { y, height } = (await part.boundingBox())!;
        assert.ok(y + height <= viewport.height, await part.innerText());
      }
    },
  );
}

testWith("chromium", "the code shows the chosen channel, and runs", async (executable) => {
  await using server = await homeServer();
  await using browser = await open(executable);
  const context = await browser.context();
  const page = await tab(context, server.url);
  await page.getByLabel("Channel").fill('a "quoted" <b>room</b>');
  await page.keyboard.press("Enter");
  const shown = page.locator("#code-talk").filter({
    hasText: 'newSubscription("a \\"quoted\\" <b>room</b>", ',
  });
  const code = await shown.textContent();

  const own = await context.newPage();
  const said = own.waitForEvent("console", (line) => line.text() === "Hello");
  const counted = own.waitForEvent("console", (line) => line.text() === "2 here");
  await own.goto(`${server.url}/home/icon.svg`);
  await own.evaluate((text) => import(`data:text/javascript,${encodeURIComponent(text)}`), code!);
  await Promise.all([said, counted]);
  await page.getByRole("log").getByText("Hello").waitFor();
});

testWith("chromium", "a tab without a connection says what becomes of a message", async (executable) => {
  await using server = await homeServer();
  await using browser = await open(executable);
  const page = await tab(await browser.context(), server.url);
  await page.getByRole("button", { name: "Go offline" }).click();
  await page.getByText("You are offline. Connect to publish").waitFor();
  await publish(page, "lost?");
  await page.getByRole("alert").getByText("Not published: this tab is not connected.").waitFor();
  assert.equal(await page.getByLabel("Message", { exact: true }).inputValue(), "lost?");
  await page.getByRole("button", { name: "Connect" }).click();
  await page.getByText("You are offline").waitFor({ state: "detached" });
  await status(page, "Connected");
  await page.getByRole("button", { name: "Publish" }).click();
  await page.getByRole("log").getByText("lost?").waitFor();
});

testWith("chromium", "an offline tab receives the missed messages", async (executable) => {
  await using server = await homeServer();
  await using browser = await open(executable);
  const context = await browser.context();
  const one = await tab(context, server.url);
  const two = await tab(context, server.url);
  await publish(one, "first");
  await two.getByRole("log").getByText("first").waitFor();

  await two.getByRole("button", { name: "Go offline" }).click();
  await status(two, "Offline");
  await publish(one, "second");
  await publish(one, "third");
  await one.getByRole("log").getByText("third").waitFor();
  await one.getByRole("button", { name: "Vote for A game for two" }).click();
  await votesFor(one, "A game for two").getByText("1").waitFor();
  await two.getByRole("button", { name: "Connect" }).click();
  await two.getByRole("log").getByText("third").waitFor();
  assert.deepEqual(await messages(two), ["first", "second", "third"]);
  await votesFor(two, "A game for two").getByText("1").waitFor();
  assert.deepEqual(browser.errors, []);
});

testWith("chromium", "a tab reconnects to a restarted server", async (executable) => {
  await using browser = await open(executable);
  const context = await browser.context();
  const port = freePort();
  let page: Page;
  {
    await using server = await homeServer({ port });
    page = await tab(context, server.url);
  }
  await status(page, "Reconnecting …");
  await using _again = await homeServer({ port });
  await status(page, "Connected");
  await publish(page, "still here");
  await page.getByRole("log").getByText("still here").waitFor();
});

testWith(
  "chromium",
  "the page changes the channel, and shows a refused subscription",
  async (executable) => {
    await using server = await homeServer();
    await using browser = await open(executable);
    const context = await browser.context();
    const one = await tab(context, server.url);
    await one.getByLabel("Channel").fill("a/b %?&é");
    await one.keyboard.press("Enter");
    await publish(one, "in another channel");
    await one.getByRole("log").getByText("in another channel").waitFor();

    const opened = context.waitForEvent("page");
    await one.getByRole("link", { name: "Open a second tab" }).click();
    const two = await opened;
    await historyRow(two).getByText("in another channel").waitFor();
    assert.equal(await two.getByLabel("Channel").inputValue(), "a/b %?&é");
    await people(one).nth(1).waitFor();

    await one.getByLabel("Channel").fill("live:nothing");
    await one.keyboard.press("Enter");
    await one.getByText('Not subscribed to live:nothing: There is no live query "nothing".').waitFor();
    assert.equal(await people(one).count(), 0);
    await one.goto(`${server.url}/#%E0%A4%A`);
    await one.reload();
    await status(one, "Connected");
    assert.equal(await one.getByLabel("Channel").inputValue(), "lobby");
    assert.deepEqual(browser.errors, []);
  },
);

testWith("chromium", "with required sign-in, the page asks for a token", async (executable) => {
  await using server = await homeServer({ secret: SECRET });
  await using browser = await open(executable);
  const context = await browser.context();
  const one = await tab(context, server.url, "Needs sign-in");
  await one.getByText("This server requires a token.").waitFor();
  await one.getByText("The demo is off").waitFor();
  await until("the focus", () => one.getByLabel("Token").evaluate(hasFocus));

  await one.getByLabel("Token").fill("no.such.token");
  await one.keyboard.press("Enter");
  await one.getByText("The server rejected the token: invalid token.").waitFor();

  const token = await new SignJWT({ sub: "ada" }).setProtectedHeader({ alg: "HS256" }).setExpirationTime("1h")
    .sign(new TextEncoder().encode(SECRET));
  await one.getByLabel("Token").fill(` ${token} `);
  await one.keyboard.press("Enter");
  await status(one, "Connected");
  assert.match(await people(one).nth(0).innerText(), /^ada\s+this tab$/);
  const opened = context.waitForEvent("page");
  await one.getByRole("link", { name: "Open a second tab" }).click();
  const two = await opened;
  await status(two, "Connected");
  await publish(two, "hello");
  await one.getByRole("log").getByText("ada hello").waitFor();
  await one.reload();
  await status(one, "Connected");
  await one.getByRole("button", { name: "Sign out" }).click();
  await status(one, "Needs sign-in");
  await one.reload();
  await status(one, "Needs sign-in");
  await one.getByLabel("Token").waitFor();
  assert.deepEqual(browser.errors, []);
});

/** Presses Tab until the element has the focus. */
async function tabTo(page: Page, role: "button" | "textbox" | "link", name: string): Promise<void> {
  const wanted = page.getByRole(role, { name, exact: true });
  for (let presses = 0; presses < 60; presses++) {
    if (await wanted.evaluate(hasFocus)) return;
    await page.keyboard.press("Tab");
  }
  assert.fail(`${name} cannot be reached by the keyboard`);
}

testWith("chromium", "the page works by keyboard alone", async (executable) => {
  await using server = await homeServer();
  await using browser = await open(executable);
  const page = await tab(await browser.context(), server.url);
  await tabTo(page, "textbox", "Message");
  await page.keyboard.type("typed");
  await page.keyboard.press("Enter");
  await page.getByRole("log").getByText("typed").waitFor();
  await page.keyboard.type("the focus has stayed");
  await page.keyboard.press("Enter");
  await page.getByRole("log").getByText("the focus has stayed").waitFor();

  await tabTo(page, "button", "Vote for A game for two");
  for (const votes of ["1", "2"]) { // the row moves up and keeps the focus
    await page.keyboard.press("Enter");
    await votesFor(page, "A game for two").getByText(votes, { exact: true }).waitFor();
  }
  await tabTo(page, "button", "Go offline");
  await page.keyboard.press("Space");
  await status(page, "Offline");
  await page.keyboard.press("Space");
  await status(page, "Connected");
});

testWith(
  "chromium",
  "every control has a name, and text has enough contrast",
  async (executable) => {
    await using server = await homeServer();
    await using browser = await open(executable);
    for (const colorScheme of ["light", "dark"] as const) {
      const context = await browser.context({ colorScheme });
      const page = await tab(context, server.url);
      await publish(page, "something to read");
      await historyRow(page).getByText("something to read").first().waitFor();
      assert.deepEqual(await page.evaluate(nameless), []);
      assert.deepEqual(await page.evaluate(pale), [], colorScheme);
      await page.evaluate(showSignIn);
      assert.deepEqual(await page.evaluate(pale), [], colorScheme);
      await context.close();
    }
  },
);

testWith("chromium", "at 400 pixels nothing is cut off", async (executable) => {
  await using server = await homeServer({ secret: SECRET });
  await using unsecured = await homeServer();
  await using browser = await open(executable);
  const context = await browser.context({ viewport: { width: 400, height: 800 } });
  const page = await tab(context, unsecured.url);
  await publish(page, "w".repeat(300));
  await page.getByLabel("Idea").fill("W".repeat(60));
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: `Vote for ${"W".repeat(60)}` }).waitFor();
  await historyRow(page).nth(0).waitFor();
  const closed = await tab(context, server.url, "Needs sign-in");
  for (const each of [page, closed]) {
    assert.equal(await each.evaluate(width), 400);
    assert.deepEqual(await each.evaluate(cutOff), []);
    assert.ok(await each.getByRole("button", { name: "Publish" }).isVisible());
  }
});
