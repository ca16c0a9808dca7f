import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { Child, Client, least, slowdown } from "../../kit/mod.ts";
import { testWith } from "../../kit/programs.ts";
import { go, live, openBrowser } from "./kit.ts";

/** As many clients, each in its own channel. */
const CLIENTS = 2_000;
/** How long the server may do nothing else. */
const HOLD_MS = 20;

/** Connects a client by the protocol of the SDKs and subscribes it. */
async function subscribed(url: string, channel: string): Promise<Client> {
  const client = await Client.connect(`${url}/connection/websocket`);
  client.send(`{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"${channel}"}}`);
  while (!(await client.nextText()).includes('"id":2'));
  return client;
}

/** What an operator does. Together it takes some seconds, in which all that is sent regularly is sent. */
const VIEWS: readonly ((page: Page) => Promise<void>)[] = [
  async function overview(page) {
    await go(page, "/");
    await page.reload();
    await live(page);
    await page.getByRole("region", { name: "Nodes" }).getByRole("cell", { name: "2,0" }).first().waitFor();
  },
  async function search(page) {
    await page.getByRole("searchbox").fill("room:19");
    await page.getByRole("link", { name: "room:1900" }).waitFor();
    assert.ok(await page.getByRole("listitem").count() < 200);
    await page.getByRole("searchbox").fill("");
    await page.getByRole("heading", { name: "Channels and users" }).waitFor();
    await page.getByRole("link", { name: "room:" }).first().waitFor();
  },
  async function channel(page) {
    await go(page, "/channel/room%3A7");
    await page.getByRole("region", { name: "History" }).getByText('"n":7,').waitFor();
    await page.getByRole("region", { name: "Presence" }).getByText("1 client").first().waitFor();
  },
  async function tailOfEverything(page) {
    await go(page, "/tail");
    const events = page.getByRole("region", { name: "Events" }).getByRole("listitem");
    await events.nth(99).waitFor();
    assert.equal(await events.count(), 100);
    await page.getByRole("button", { name: "Pause" }).click();
    await page.getByText(/paused, \d+ newer/).waitFor();
  },
];

testWith(
  "chromium",
  `B14 with ${CLIENTS} clients in as many channels the page is usable, and holds nothing up`,
  async (chromium) => {
    await using server = new Child(new URL("children/busy_server.ts", import.meta.url), {
      args: [`${CLIENTS}`],
    });
    const url = await server.line();
    await using clients = new AsyncDisposableStack();
    const all = Array.from({ length: CLIENTS }, (_, i) => i);
    while (all.length > 0) {
      const some = all.splice(0, 100).map((i) => subscribed(url, `room:${i}`));
      for (const client of await Promise.all(some)) clients.use(client);
    }
    const held = async () => Number(await (await fetch(`${url}/held`)).text());

    await using browser = await openBrowser(chromium);
    const page = await browser.open(`${url}/admin`);
    await live(page);
    const bound = HOLD_MS * slowdown();
    const longest = await least(bound, async () => {
      await held();
      for (const view of VIEWS) await view(page);
      return await held();
    });
    assert.ok(longest < bound, `the event loop was held for ${longest} ms`);
    assert.deepEqual(browser.complaints(), []);
  },
);
