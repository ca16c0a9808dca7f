import assert from "node:assert/strict";
import { chromium, type Page } from "playwright-core";
import { deno } from "../../kit/example.ts";
import { until } from "../../kit/mod.ts";
import { testWith } from "../../kit/programs.ts";
import { serveApi } from "../../plugins/client/kit.ts";

const here = (name: string) => new URL(name, import.meta.url);

/** Bundles React and the SDK. */
async function vendor(): Promise<string> {
  const args = [
    "bundle",
    "--quiet",
    "--lock=tests/deno.lock",
    "--platform=browser",
    here("page/vendor.js").pathname,
  ];
  const { success, stdout, stderr } = await deno(args).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  // The development version, which StrictMode is for.
  return new TextDecoder().decode(stdout).replaceAll("process.env.NODE_ENV", `"development"`);
}

const PAGE = `<!doctype html><title>React</title><link rel="icon" href="data:,">
  <script type="importmap">{"imports":{"react":"/vendor.js","vendor":"/vendor.js"}}</script>
  <body><script type="module" src="/app.js"></script></body>`;

/** A server with the page, and counts of its subscriptions. */
async function servePage() {
  const bundle = await vendor();
  const js = { "content-type": "text/javascript" };
  const page = {
    name: "page",
    routes(app: { get(path: string, answer: () => Response): unknown }) {
      app.get("/", () => new Response(PAGE, { headers: { "content-type": "text/html" } }));
      app.get("/vendor.js", () => new Response(bundle, { headers: js }));
      app.get("/app.js", () => new Response(Deno.readTextFileSync(here("page/app.js")), { headers: js }));
    },
  };
  const server = await serveApi(page);
  const joined: string[] = [];
  server.bus.extend({ name: "counting", joined: (_, { channel }) => void joined.push(channel) });
  const subscribed = () =>
    [...server.bus.clients.values()].flatMap(({ subscriptions }) => [...subscriptions.keys()]);
  return Object.assign(server, { joined, subscribed });
}

const shown = (page: Page, what: string) =>
  page.evaluate((what) => Reflect.get(globalThis, "shown")[what] as string[], what);

/** Asserts that nothing went back to loading. */
function assertSteady(statuses: string[]): void {
  assert.equal(statuses.at(-1), "live");
  assert.equal(statuses.lastIndexOf("loading") < statuses.indexOf("live"), true, statuses.join());
}

testWith(
  "chromium",
  "B23 React shows rows, channels and presence in StrictMode, without a flicker",
  async (executablePath) => {
    await using server = await servePage();
    const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
    try {
      const page = await browser.newPage();
      page.setDefaultTimeout(30_000);
      const errors: string[] = [];
      page.on("pageerror", (error) => errors.push(String(error)));
      page.on("console", (line) => void (line.type() === "error" && errors.push(line.text())));
      const click = (name: string) => page.getByRole("button", { name, exact: true }).click();
      await server.store.run(
        "INSERT INTO orders (customer, status) VALUES ('Bob', 'pending'), ('Cat', 'shipped')",
      );
      await page.goto(server.url);

      await page.locator("#pending").getByText("Bob").waitFor();
      await page.getByRole("alert").getByText("Permission denied").waitFor();
      await click("Add");
      await page.locator("#pending").getByText("Ada").waitFor();
      assertSteady(await shown(page, "orders"));
      assert.deepEqual(server.joined, ["live:orders?status=pending"], "once, although React mounts twice");

      await click("Both"); // two components with the same rows, and the old one goes on
      await page.locator("#pending li").nth(3).waitFor();
      assert.deepEqual(await page.locator("#pending li").allTextContents(), ["Bob", "Ada", "Bob", "Ada"]);
      assertSteady(await shown(page, "orders"));
      assert.deepEqual(server.joined, ["live:orders?status=pending"]);

      await click("Shipped"); // other parameters
      await page.locator("#shipped").getByText("Cat").first().waitFor();
      const kept = await shown(page, "kept");
      assert.equal(kept.at(-1), "live Cat");
      assert(kept.includes("loading Bob,Ada"), "the earlier rows until the new ones are there");
      assert.equal(kept.lastIndexOf("loading ") < kept.indexOf("live Bob"), true, kept.join());
      await until(
        "the old rows have ended",
        () => server.subscribed().join() === "live:orders?status=shipped",
      );

      await click("Room");
      await page.getByText("1 here").waitFor();
      await click("Say hello");
      await page.getByRole("list").getByText("Hello!").waitFor();
      assertSteady(await shown(page, "room"));
      assertSteady(await shown(page, "people"));
      assert.deepEqual(server.joined.slice(2), ["chat:lobby"], "one subscription for both");

      await click("Nothing");
      await until("all have ended", () => server.subscribed().length === 0);
      await click("Room");
      await page.getByRole("list").getByText("Hello!").waitFor();
      assert.deepEqual(errors, []);
    } finally {
      await browser.close();
    }
  },
);
