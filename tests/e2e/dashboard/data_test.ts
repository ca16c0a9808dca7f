import assert from "node:assert/strict";
import { until } from "../../kit/mod.ts";
import { testWith } from "../../kit/programs.ts";
import { dashboardServer, KEY } from "../../plugins/dashboard/kit.ts";
import { go, isAccessible, openBrowser, signIn } from "./kit.ts";

const READER = "r".repeat(32);
const apiKeys = [{ name: "ops", key: KEY, permissions: ["admin"] }];

testWith("chromium", "B14 live queries and tables follow the writes of the app", async (chromium) => {
  await using server = await dashboardServer({ apiKeys });
  await server.store.migrate("shop", [
    "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT, total REAL)",
  ]);
  server.queries.define("totals", {
    sql: "SELECT customer, sum(total) AS total FROM orders GROUP BY customer",
  });
  const watch = server.queries.watch("totals", {}, () => {});
  await using browser = await openBrowser(chromium);
  const page = await browser.signedIn(`${server.url}/admin#/tables/orders`);
  await page.getByText("The table is empty.").waitFor();
  await page.getByText("live: changes appear at once").waitFor();
  await server.store.run("INSERT INTO orders (customer, total) VALUES ('<b>Ada</b>', 12.5)");
  await page.getByRole("cell", { name: "<b>Ada</b>" }).waitFor();
  await isAccessible(page);

  await go(page, "/queries");
  const query = page.getByRole("region", { name: "Query totals" });
  await query.getByText("orders (1 row)").waitFor();
  await isAccessible(page);
  await query.getByRole("link", { name: "totals" }).click();
  await page.getByText("SCAN orders").waitFor();
  await page.getByRole("region", { name: "Instances" }).getByRole("row").nth(1).waitFor();
  await isAccessible(page);
  await go(page, "/tables");
  await page.getByRole("region", { name: "Migrations" }).getByRole("cell", { name: "shop" }).waitFor();
  await isAccessible(page);
  await go(page, "/queues");
  await page.getByText("No backend gets events.").waitFor();
  watch.stop();
  assert.deepEqual(browser.complaints(), []);

  await go(page, "/tables/order");
  await page.getByText("There is no table of this name.").waitFor();
  assert.equal(await page.getByText("live: changes appear at once").count(), 0);
  await go(page, "/query/total");
  await page.getByText("No live query of this name is declared or in use.").waitFor();
});

testWith(
  "chromium",
  "B14 rows are inserted, changed and deleted with a form, by those who may",
  async (chromium) => {
    const apiKeys = [
      { name: "ops", key: KEY, permissions: ["admin"] },
      {
        name: "reader",
        key: READER,
        permissions: ["admin:database", "admin:metrics", "read:$admin:table?*", "read:$admin:figures"],
      },
    ];
    await using server = await dashboardServer({ apiKeys });
    const { store } = server;
    await store.exec(`
    CREATE TABLE "<i>orders</i>" (id INTEGER PRIMARY KEY, "<b>customer</b>" TEXT NOT NULL, total REAL, note TEXT,
      constructor TEXT, lines TEXT);
    INSERT INTO "<i>orders</i>" VALUES (1, 'Ada', 9007199254740993, printf('%.*c', 5000, 'x'), 'one' || char(10) || 'two',
      'one' || char(13, 10) || 'two');
  `);
    const rows = () =>
      store.all('SELECT * FROM "<i>orders</i>" ORDER BY id').map((row) => Object.values(row));
    await using browser = await openBrowser(chromium);
    const url = `${server.url}/admin#/tables/${encodeURIComponent("<i>orders</i>")}`;
    const page = await browser.signedIn(url);
    await page.getByRole("button", { name: "New row" }).click();
    await isAccessible(page);
    await page.getByRole("button", { name: "Insert" }).click();
    await page.getByRole("alert").getByText("<b>customer</b> must have a value").waitFor();
    await page.getByLabel("<b>customer</b>", { exact: true }).fill("\u202eGrace <script>");
    await page.getByLabel("total", { exact: true }).fill("12.5");
    await page.getByLabel("Kind of total").selectOption("number");
    await page.getByLabel("constructor", { exact: true }).fill("Lovelace");
    await page.getByRole("button", { name: "Insert" }).click();
    await page.getByRole("status").getByText("Inserted").waitFor();
    assert.deepEqual(rows()[1], [2, "\u202eGrace <script>", 12.5, null, "Lovelace", null]);

    // What is not touched stays, also the end of a long text, and the line breaks of a text that is changed.
    await page.getByRole("button", { name: "Edit" }).first().click();
    const note = page.getByLabel("note", { exact: true });
    assert.deepEqual([await note.inputValue(), await note.getAttribute("placeholder")], [
      "",
      "5,000 bytes; what you type replaces them",
    ]);
    await page.getByLabel("constructor", { exact: true }).press("Control+End");
    await page.keyboard.type(" three");
    // A browser returns every line break as LF.
    await page.getByLabel("lines", { exact: true }).press("Control+End");
    await page.keyboard.type("\nthree");
    await page.getByLabel("<b>customer</b>", { exact: true }).fill("Ada L.");
    await page.getByLabel("Kind of total").selectOption("NULL");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("status").getByText("Changed").waitFor();
    assert.deepEqual(rows()[0], [
      1,
      "Ada L.",
      null,
      "x".repeat(5_000),
      "one\ntwo three",
      "one\r\ntwo\r\nthree",
    ]);

    await page.getByRole("button", { name: "Edit" }).nth(1).click();
    await page.getByLabel("total", { exact: true }).fill("many");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("alert").getByText("total must be a number").waitFor();
    await page.getByRole("button", { name: "Delete the row" }).click();
    await page.getByRole("button", { name: "Really delete it?" }).click();
    await page.getByRole("status").getByText("Deleted").waitFor();
    assert.equal(rows().length, 1);
    await page.setViewportSize({ width: 400, height: 800 });
    await page.getByRole("button", { name: "Edit" }).first().click();
    await isAccessible(page);
    // The browser reports the request that was refused.
    assert.deepEqual(browser.complaints().map((text) => text.match(/status of (\d+)/)?.[1]), ["409"]);

    const reader = await browser.open(url);
    await signIn(reader, READER);
    await reader.getByRole("cell", { name: "Ada L." }).waitFor();
    assert.equal(await reader.getByRole("button", { name: /New row|Edit/ }).count(), 0);
  },
);

testWith("chromium", "B14 queues, settings and the flight recorder", async (chromium) => {
  const folder = await Deno.makeTempDir();
  {
    await using server = await dashboardServer({
      apiKeys,
      webhookUrl: "http://127.0.0.1:9/events",
      recordFile: `${folder}/recording.jsonl`,
    });
    await server.later.publish("news", 1, { delay: 3_600_000, id: "hourly" });
    await using browser = await openBrowser(chromium);
    const page = await browser.signedIn(`${server.url}/admin#/queues`, {
      viewport: { width: 400, height: 800 },
    });
    await page.getByRole("cell", { name: "hourly" }).waitFor();
    await isAccessible(page);
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.getByRole("button", { name: "Really?" }).click();
    await page.getByText("Nothing is due later.").waitFor();
    assert.deepEqual(await server.later.list(), []);

    await go(page, "/settings");
    await page.getByText("jwtSecret=(hidden)").waitFor();
    await isAccessible(page);

    await go(page, "/recorder");
    await page.getByRole("button", { name: "Start", exact: true }).click();
    await page.getByRole("heading", { name: "Recording", exact: true }).waitFor();
    await server.bus.publish("news", "recorded");
    await until("bytes on disk", () => server.tracing.recorder.status().bytes > 0);
    await isAccessible(page);
    const downloading = page.waitForEvent("download");
    await page.getByRole("button", { name: "Download" }).click();
    const download = await downloading;
    assert.match(download.suggestedFilename(), /^plugboard-.+\.jsonl$/);
    assert.match(await Deno.readTextFile(await download.path()), /recorded/);
    await page.getByRole("button", { name: "Stop" }).click();
    await page.getByRole("heading", { name: "Not recording" }).waitFor();
    assert.deepEqual(browser.complaints(), []);
  }
  await Deno.remove(folder, { recursive: true });
});
