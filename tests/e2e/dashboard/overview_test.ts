import assert from "node:assert/strict";
import { sdkClient } from "../../kit/centrifuge.ts";
import { freePort, slowdown, until } from "../../kit/mod.ts";
import { testWith } from "../../kit/programs.ts";
import { dashboardServer, KEY } from "../../plugins/dashboard/kit.ts";
import { token } from "../../plugins/auth/kit.ts";
import { go, isAccessible, live, openBrowser, signIn } from "./kit.ts";

const apiKeys = [
  { name: "ops", key: KEY, permissions: ["admin"] },
  { name: "shop", key: "s".repeat(32), permissions: ["write:orders:*"] },
  { name: "watcher", key: "w".repeat(32), permissions: ["admin:metrics"] },
];

testWith(
  "chromium",
  "B14 sign-in by an API key with admin, kept for the life of the tab",
  async (chromium) => {
    await using server = await dashboardServer({ apiKeys });
    await using browser = await openBrowser(chromium);
    const page = await browser.open(`${server.url}/admin`);
    await page.getByRole("heading", { name: "Dashboard" }).waitFor();
    await isAccessible(page);
    assert.deepEqual(browser.complaints(), []);

    await signIn(page, "x".repeat(32));
    await page.getByRole("alert").getByText("Invalid API key").waitFor();
    await signIn(page, "s".repeat(32));
    await page.getByRole("alert").getByText("it needs the permission admin").waitFor();
    // The browser reports both refused requests.
    const refused = browser.complaints();
    assert.deepEqual(refused.map((text) => text.match(/status of (\d+)/)?.[1]), ["401", "403"]);

    await signIn(page, KEY);
    await live(page);
    await page.reload();
    await live(page);
    const other = await page.context().newPage();
    await other.goto(`${server.url}/admin`);
    await other.getByLabel("API key").waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("API key").waitFor();
    await page.reload();
    await page.getByLabel("API key").waitFor();
    assert.deepEqual(browser.complaints(), []);
  },
);

testWith(
  "chromium",
  "B14 without sign-in, the dashboard opens on this machine, and no user gets its data",
  async (chromium) => {
    {
      await using server = await dashboardServer();
      await using browser = await openBrowser(chromium);
      const page = await browser.open(`${server.url}/admin`);
      await live(page);
      assert.equal(await page.getByRole("button", { name: "Sign out" }).count(), 0);
      assert.deepEqual(browser.complaints(), []);
    }
    await using server = await dashboardServer({ apiKeys });
    await using user = sdkClient(server.url, "websocket", { token: await token({ sub: "ada" }) });
    user.sdk.connect();
    await user.sdk.ready();
    for (const channel of ["$admin:figures", "$admin:tail?{}", "$admin:table?orders"]) {
      const subscription = user.sdk.newSubscription(channel);
      subscription.subscribe();
      await assert.rejects(subscription.ready(30_000));
      assert.equal(subscription.state, "unsubscribed", channel);
    }
  },
);

testWith(
  "chromium",
  "B14 a key that may only read figures sees them move, and why it gets no live data",
  async (chromium) => {
    await using server = await dashboardServer({ apiKeys });
    await using browser = await openBrowser(chromium);
    const page = await browser.open(`${server.url}/admin`);
    await signIn(page, "w".repeat(32));
    await live(page);
    await using user = sdkClient(server.url, "websocket", { token: await token({ sub: "ada" }) });
    user.sdk.connect();
    const connections = page.getByRole("region", { name: "Connections" }).locator(".value b").first();
    await until("two connections in the chart", async () => await connections.textContent() === "2");
    await go(page, "/tail");
    await page.getByRole("alert").getByText("the key needs the permission admin, or read:$admin:*").waitFor();
    await isAccessible(page);
  },
);

testWith(
  "chromium",
  "B14 a key that ends while the page is open signs it out, and says why",
  async (chromium) => {
    await using server = await dashboardServer({ apiKeys });
    const key = await server.access.createApiKey({ name: "guest", permissions: ["admin"] });
    await using browser = await openBrowser(chromium);
    const page = await browser.open(`${server.url}/admin`);
    await signIn(page, key);
    await live(page);
    const [asked, late] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    await page.route("**/api/disconnect", async (route) => {
      asked.resolve();
      await late.promise;
      await route.continue();
    });
    await go(page, "/user/ada");
    await page.getByRole("button", { name: "Disconnect everywhere" }).click();
    await page.getByRole("button", { name: "Really disconnect all?" }).click();
    await asked.promise;
    await server.access.revokeApiKey("guest");
    await page.getByRole("alert").getByText("API key").waitFor();
    // An answer that comes after the end of the connection does not replace the reason.
    const refused = page.waitForResponse("**/api/disconnect");
    late.resolve();
    assert.equal((await refused).status(), 401);
    await page.evaluate("fetch('health').then((response) => response.text())");
    assert.match(
      (await page.getByRole("alert").textContent())!,
      /^(This API key is no longer valid|Invalid API key)$/,
    );
    await page.reload();
    await page.getByLabel("API key").waitFor();
  },
);

testWith(
  "chromium",
  "B14 charts show the last ten minutes at once, and move when load comes",
  async (chromium) => {
    await using server = await dashboardServer({ apiKeys });
    await using browser = await openBrowser(chromium);
    await until("two seconds of figures", () => server.numbers.figures().length >= 2);
    const page = await browser.open(`${server.url}/admin`);
    const signedIn = performance.now();
    await signIn(page, KEY);
    const chart = page.getByRole("img", { name: /^Deliveries \/s in the last ten minutes/ });
    await chart.locator("canvas").waitFor();
    const firstChartMs = performance.now() - signedIn;
    // 1 s on a machine with nothing else to do.
    assert.ok(firstChartMs < 6_000 * slowdown(), `the first chart took ${firstChartMs} ms`);

    await using user = sdkClient(server.url, "websocket", { token: await token({ sub: "ada" }) });
    user.sdk.newSubscription("load").subscribe();
    user.sdk.connect();
    await user.sdk.ready();
    const load = setInterval(() => void server.bus.publish("load", 1), 5);
    try {
      const deliveries = page.getByRole("region", { name: "Deliveries /s" }).locator(".value b").first();
      await until("deliveries in the chart", async () => Number(await deliveries.textContent()) > 50);
      const connections = page.getByRole("region", { name: "Connections" }).locator(".value b").first();
      await until("two connections in the chart", async () => await connections.textContent() === "2");
    } finally {
      clearInterval(load);
    }
    // Twenty are allowed in ten seconds. On a slow machine, a few more.
    const reads = Array.from({ length: 40 }, () => user.sdk.history("load", { limit: 1 }));
    const refused = (await Promise.allSettled(reads)).filter(({ status }) => status === "rejected").length;
    await page.getByRole("region", { name: "Latest limits" })
      .getByText(`queries and reads, ${refused} times`, { exact: false }).waitFor();
    server.note("error", "cannot reach <b>the</b> warehouse", { token: "abc" });
    await page.getByText("cannot reach <b>the</b> warehouse").waitFor();
    await page.getByText('{"token":"[redacted]"}').waitFor();
    await isAccessible(page);
    assert.deepEqual(browser.complaints(), []);
  },
);

testWith(
  "chromium",
  "B14 the dashboard says when the connection is lost, and catches up after a restart",
  async (chromium) => {
    await using browser = await openBrowser(chromium);
    const port = freePort();
    let page;
    {
      await using server = await dashboardServer({ apiKeys, port });
      page = await browser.signedIn(`${server.url}/admin`);
    }
    await page.getByRole("status").getByText("Connection lost").waitFor();
    await using server = await dashboardServer({ apiKeys, port });
    await live(page);
    server.note("warn", "after the restart");
    await page.getByText("after the restart").waitFor();
  },
);

for (const colorScheme of ["light", "dark"] as const) {
  testWith(
    "chromium",
    `B14 the overview is readable at 400 and 2560 pixels, ${colorScheme}`,
    async (chromium) => {
      await using server = await dashboardServer({ apiKeys });
      await using browser = await openBrowser(chromium);
      const page = await browser.signedIn(`${server.url}/admin`, {
        colorScheme,
        viewport: { width: 400, height: 800 },
      });
      await page.getByRole("region", { name: "Nodes" }).getByRole("row").nth(1).waitFor();
      await isAccessible(page);
      await page.setViewportSize({ width: 2_560, height: 1_440 });
      await isAccessible(page);
      const background = await page.evaluate("getComputedStyle(document.documentElement).backgroundColor");
      assert.equal(background, colorScheme === "dark" ? "rgb(16, 21, 20)" : "rgb(247, 248, 247)");
      assert.deepEqual(browser.complaints(), []);
    },
  );
}
