import assert from "node:assert/strict";
import { sdkClient } from "../../kit/centrifuge.ts";
import { until } from "../../kit/mod.ts";
import { testWith } from "../../kit/programs.ts";
import { token } from "../../plugins/auth/kit.ts";
import { dashboardServer, KEY } from "../../plugins/dashboard/kit.ts";
import { go, isAccessible, openBrowser } from "./kit.ts";

const apiKeys = [{ name: "ops", key: KEY, permissions: ["admin"] }];

/** Connects a user who subscribes to channels. */
async function connect(url: string, user: string, channels: string[], claims: object = {}) {
  const client = sdkClient(url, "websocket", { token: await token({ sub: user, ...claims }) });
  for (const channel of channels) client.sdk.newSubscription(channel).subscribe();
  client.sdk.connect();
  await client.sdk.ready();
  await Promise.all(Object.values(client.sdk.subscriptions()).map((each) => each.ready(30_000)));
  return client;
}

testWith(
  "chromium",
  "B14 search leads to a channel, a user and a connection, which is disconnected",
  async (chromium) => {
    await using server = await dashboardServer({ apiKeys });
    await using ada = await connect(server.url, "ada", ["chat:lobby", "metrics:cpu"]);
    await using browser = await openBrowser(chromium);
    const page = await browser.signedIn(`${server.url}/admin`);

    await page.keyboard.press("/");
    await page.keyboard.type("lobby");
    await page.getByRole("link", { name: "chat:lobby" }).click();
    await page.getByRole("heading", { name: "chat:lobby" }).waitFor();
    await page.getByLabel("Payload, as JSON").fill('{"n": 1.5}');
    await page.getByRole("button", { name: "Publish", exact: true }).click();
    await page.getByText("Published as number 1").waitFor();
    await page.getByRole("region", { name: "History" }).getByText('{"n":1.5}').waitFor();
    await isAccessible(page);
    await page.getByRole("button", { name: "Clear the history" }).click();
    await page.getByRole("button", { name: "Really clear it?" }).click();
    await page.getByText("Nothing is kept.").waitFor();

    await go(page, "/channel/metrics%3Acpu");
    await page.getByText("No history: historySize is 0 in the namespace metrics.").waitFor();
    await page.getByRole("link", { name: "ada" }).first().click();
    await page.getByRole("region", { name: "Timeline" }).getByText("Signed in").waitFor();
    await isAccessible(page);
    const [id] = Array.from(server.bus.clients).find(([, { identity }]) => identity.user === "ada")!;
    await page.getByRole("region", { name: "Connections" }).getByRole("link", { name: id.slice(0, 8) })
      .click();
    await page.getByRole("region", { name: "Subscriptions" }).getByRole("link", { name: "chat:lobby" })
      .waitFor();
    await isAccessible(page);
    const disconnected = new Promise<{ code: number }>((resolve) => ada.sdk.on("disconnected", resolve));
    await page.getByRole("button", { name: "Disconnect" }).click();
    await page.getByRole("button", { name: "Really disconnect it?" }).click();
    assert.equal((await disconnected).code, 3503);
    await page.getByText("This connection has ended").waitFor();
    await page.getByText("Disconnected by the server: 3503").waitFor();
    // The browser reports that the connection is gone.
    assert.deepEqual(browser.complaints().filter((text) => !text.includes("status of 404")), []);
  },
);

testWith("chromium", "B14 the verdict on every action names the rule", async (chromium) => {
  await using server = await dashboardServer({ apiKeys });
  await using _ada = await connect(server.url, "ada", [], { permissions: ["read:chat:*"] });
  await using browser = await openBrowser(chromium);
  const page = await browser.signedIn(`${server.url}/admin#/may?user=ada&channel=chat%3A1`);
  const rows = page.getByRole("region", { name: "Verdict" }).getByRole("listitem");
  await rows.first().waitFor();
  assert.deepEqual(await rows.locator("b").allTextContents(), ["Yes", "No", "Yes", "Yes"]);
  await page.getByText("No permission includes write:chat:1.").waitFor();
  await page.getByRole("combobox", { name: "May" }).selectOption("a token");
  await page.getByRole("textbox", { name: "Token" }).fill(
    await token({ sub: "bob", permissions: ["write:*"] }),
  );
  await page.getByRole("button", { name: "Ask" }).click();
  await page.getByText("No permission includes read:chat:1.").first().waitFor();
  await isAccessible(page);
  assert.deepEqual(browser.complaints(), []);
});

const HOSTILE = {
  script: "<script>document.title='owned'</script>",
  image: '"><img src=x onerror="document.title=\'owned\'">',
  direction: "\u202Egnp.txt\u202C \u200F שלום",
  entity: "&lt;b&gt; {{html}} ${1} %3Cb%3E",
};

testWith("chromium", "B14 hostile names and payloads are shown harmless everywhere", async (chromium) => {
  await using server = await dashboardServer({ apiKeys });
  const names = Object.values(HOSTILE);
  await using _user = await connect(server.url, HOSTILE.image, names);
  for (const name of names) {
    await server.bus.publish(name, { [HOSTILE.script]: HOSTILE.image, surrogate: "\ud800", [name]: name });
  }
  await server.bus.publish(HOSTILE.script, { text: "x".repeat(1_000_000) });
  server.note("error", HOSTILE.script, { [HOSTILE.image]: HOSTILE.script, lone: "\ud800" });
  await using browser = await openBrowser(chromium);
  const page = await browser.signedIn(`${server.url}/admin`, { viewport: { width: 400, height: 800 } });
  await page.getByText(HOSTILE.script).first().waitFor();
  const views = [
    "/search?text=",
    ...names.flatMap((name) => {
      const part = encodeURIComponent(name);
      return [
        `/channel/${part}`,
        `/user/${part}`,
        `/tail?channel=${part}`,
        `/send?channel=${part}&data=${part}`,
      ];
    }),
    "/channel/%ED%A0%80",
    "/search?text=%",
  ];
  for (const view of views) {
    await go(page, view);
    await page.locator("main h1").first().waitFor();
    await page.waitForLoadState("networkidle");
    assert.match(await page.title(), /· Plugboard$/, view);
    assert.equal(await page.locator("main script, main img, main b:has(script)").count(), 0, view);
    const wide = await page.evaluate("document.documentElement.scrollWidth");
    assert.ok(Number(wide) <= 400, `${view} is ${wide} pixels wide`);
  }
  await until("no dialog or error", () => true);
  // The name with a lone surrogate is refused with 400.
  assert.deepEqual(browser.complaints().filter((text) => !text.includes("status of 400")), []);
});
