import assert from "node:assert/strict";
import { sdkClient } from "../../kit/centrifuge.ts";
import { freePort, until } from "../../kit/mod.ts";
import { z } from "../../kit/packages/zod.ts";
import { testWith } from "../../kit/programs.ts";
import { token } from "../../plugins/auth/kit.ts";
import { dashboardServer, KEY } from "../../plugins/dashboard/kit.ts";
import { go, isAccessible, live, openBrowser } from "./kit.ts";

const apiKeys = [{ name: "ops", key: KEY, permissions: ["admin"] }];

testWith(
  "chromium",
  "B14 the tail pauses, filters, compares and follows again after a restart",
  async (chromium) => {
    await using browser = await openBrowser(chromium);
    const port = freePort();
    let page;
    {
      await using server = await dashboardServer({ apiKeys, port });
      page = await browser.signedIn(`${server.url}/admin#/tail?channel=chat%3A1`);
      const follows = () =>
        server.bus.localStats('$admin:tail?{"channel":"chat:1"}').some(({ subscribers }) => subscribers > 0);
      await until("the tail", follows);
      await server.bus.publish("chat:1", { n: 1, text: "one" });
      await server.bus.publish("chat:other", { text: "not followed" });
      const rows = page.getByRole("region", { name: "Events" }).getByRole("listitem");
      await rows.filter({ hasText: '{"n":1,"text":"one"}' }).first().waitFor();

      await page.getByRole("button", { name: "Pause" }).click();
      await server.bus.publish("chat:1", { n: 2, text: "two", added: true });
      await page.getByText("paused, 2 newer").waitFor();
      assert.equal(await rows.filter({ hasText: "two" }).count(), 0);
      await page.getByRole("button", { name: "Go on" }).click();
      await rows.filter({ hasText: "two" }).first().waitFor();
      assert.equal(await page.getByText("not followed").count(), 0);

      await page.getByRole("combobox", { name: "Event" }).selectOption("publish");
      await page.getByLabel("Filter").fill("TWO");
      await until("one event", async () => await rows.count() === 1);
      await rows.getByRole("button").first().click();
      await page.getByText("was 1").waitFor();
      assert.equal(await page.locator(".json .added").count(), 1);
      await isAccessible(page);
      await page.getByRole("link", { name: "Send again" }).click();
      await page.getByRole("button", { name: "Publish" }).click();
      await page.getByText("as number 3").waitFor();
      await go(page, "/tail?channel=chat%3A1");
      await until("the tail again", follows);
      assert.deepEqual(browser.complaints(), []);
    }
    await page.getByRole("status").getByText("Connection lost").waitFor();
    await using server = await dashboardServer({ apiKeys, port });
    await live(page);
    await until(
      "the tail after the restart",
      () => server.bus.localStats().some(({ channel }) => channel.startsWith("$admin:tail")),
    );
    await server.bus.publish("chat:1", "still here");
    await page.getByText('"still here"').first().waitFor();
  },
);

testWith(
  "chromium",
  "B14 a tail of everything stays usable under load, and ends with the view",
  async (chromium) => {
    await using server = await dashboardServer({ apiKeys });
    await using user = sdkClient(server.url, "websocket", { token: await token({ sub: "ada" }) });
    user.sdk.connect();
    await user.sdk.ready();
    await using browser = await openBrowser(chromium);
    const page = await browser.signedIn(`${server.url}/admin#/tail`);
    await until("the tail", () => server.bus.localStats("$admin:tail?{}").length > 0);
    let loading = true;
    // As much as the machine can do, and no more.
    const load = (async () => {
      while (loading) {
        await Promise.all(Array.from({ length: 200 }, (_, i) => server.bus.publish(`load:${i}`, { i })));
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    })();
    try {
      await page.getByText("left out because there were too many").waitFor();
      await page.getByLabel("Filter").fill("load:7");
      await page.getByRole("button", { name: "Pause" }).click();
      await page.getByRole("button", { name: "Go on" }).waitFor();
      await go(page, "/send");
      await until("the end of the tail", () => server.bus.localStats("$admin:tail?{}").length === 0);
    } finally {
      loading = false;
      await load;
    }
    server.methods.define("greet", { run: (args) => ({ hello: args }) });
    await page.reload();
    await page.getByRole("combobox", { name: "Method" }).fill("greet");
    await page.getByLabel("Arguments, as JSON").fill('"<b>Ada</b>"');
    await page.getByRole("button", { name: "Call" }).click();
    await page.getByText('"<b>Ada</b>"').last().waitFor();
    server.methods.define("order", {
      args: z.object({
        item: z.string().describe("<i>What</i>"),
        amount: z.number().int(),
        gift: z.boolean().optional(),
      }),
      run: ({ item, amount }) => `${amount} ${item}`,
    });
    // The methods arrive after one was chosen.
    const chosen = Promise.withResolvers<void>();
    await page.route("**/api/methods", (route) => chosen.promise.then(() => route.continue()));
    await page.reload();
    await page.getByRole("combobox", { name: "Method" }).fill("order");
    chosen.resolve();
    await page.getByRole("cell", { name: "<i>What</i>" }).waitFor();
    const args = page.getByLabel("Arguments, as JSON");
    await until("the example", async () => await args.inputValue() !== "");
    assert.deepEqual(JSON.parse(await args.inputValue()), { item: "", amount: 0, gift: false });
    await args.fill('{"item":"pears","amount":2}');
    await page.getByRole("button", { name: "Call" }).click();
    await page.getByText('"2 pears"').waitFor();
    await isAccessible(page);
    assert.deepEqual(browser.complaints(), []);
  },
);
