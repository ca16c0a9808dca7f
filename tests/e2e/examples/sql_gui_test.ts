import assert from "node:assert/strict";
import { chromium, type Page } from "playwright-core";
import { runExample } from "../../kit/example.ts";
import { testWith } from "../../kit/programs.ts";

async function runSample(page: Page, title: string): Promise<void> {
  await page.selectOption("#samples", title);
  await page.click("#run");
}

testWith(
  "chromium",
  "Q10 two people at the SQL desk see queries, tables and each other",
  async (executablePath) => {
    const folder = await Deno.makeTempDir();
    await using example = await runExample("examples/sql_gui.ts", { DATABASE: `${folder}/desk.db` });
    const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
    try {
      const [one, two] = [await browser.newPage(), await browser.newPage()];
      for (const page of [one, two]) {
        page.on("pageerror", (error) => assert.fail(error));
        page.on("console", (message) => message.type() === "error" && assert.fail(message.text()));
        await page.goto(example.url);
        await page.getByText("live", { exact: true }).waitFor();
        await page.locator("#tables li").waitFor();
        assert.deepEqual(await page.locator("#tables li").allTextContents(), ["cities"]);
      }
      await one.fill("#name", "Ada");

      // A short query: its rows for the one, its count for the other.
      await runSample(one, "the largest cities");
      await one.getByText("20 rows", { exact: true }).waitFor();
      assert.equal(await one.locator("#rows tr").count(), 20);
      await two.getByText(/: 20 rows in/).waitFor();

      // A long one: the bar moves for both, up to the true count.
      await runSample(one, "every pair of cities");
      const moved = 'progress[value]:not([value="0"])';
      for (const page of [one, two]) await page.locator(moved).waitFor();
      await one.getByText("4,000,000 rows, the first 1,000 of them here").waitFor({ timeout: 120_000 });

      // One that does not end is cancelled.
      await runSample(one, "one that does not end");
      await two.getByText(/: 0 rows after/).waitFor();
      await one.click("#cancel");
      for (const page of [one, two]) await page.getByText(/: cancelled$/).waitFor();
      await one.locator("#run:enabled").waitFor();

      // Tables come and go for both, and only for those who may write.
      await one.selectOption("#samples", "a new table");
      await one.uncheck("#write");
      await one.click("#run");
      await one.getByText("only one that may write").waitFor();
      await runSample(one, "a new table");
      for (const page of [one, two]) await page.locator("#tables").getByText("notes").waitFor();
      await runSample(two, "and away with it");
      for (const page of [one, two]) {
        await page.locator("#tables").getByText("notes").waitFor({
          state: "detached",
        });
      }

      // The other's cursor, with a name.
      await one.mouse.move(200, 200);
      await two.locator(".cursor").getByText("Ada").waitFor();
      await two.locator("#people").getByText("2", { exact: true }).waitFor();
      await one.close();
      await two.locator(".cursor").waitFor({ state: "detached" });

      // Markup in SQL and in values is text.
      await two.fill("#sql", "SELECT '<img src=x onerror=alert(1)>' AS html, NULL AS none, x'00ff' AS bytes");
      await two.click("#run");
      const cells = two.locator("#rows td");
      await two.getByText("1 row", { exact: true }).waitFor();
      assert.deepEqual(await cells.allTextContents(), [
        "<img src=x onerror=alert(1)>",
        "NULL",
        "x'00ff' (2 bytes)",
      ]);
      assert.equal(await two.locator("#rows img").count(), 0);

      // Narrow, and dark.
      await two.setViewportSize({ width: 400, height: 800 });
      const root = "document.documentElement";
      assert.equal(await two.evaluate(`${root}.scrollWidth - ${root}.clientWidth`), 0);
      await two.emulateMedia({ colorScheme: "dark" });
      const ground = await two.evaluate(`getComputedStyle(${root}).backgroundColor`);
      assert.equal(ground, "rgb(16, 21, 20)");
    } finally {
      await browser.close();
      await Deno.remove(folder, { recursive: true });
    }
  },
);
