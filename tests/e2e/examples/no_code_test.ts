import assert from "node:assert/strict";
import { chromium } from "playwright-core";
import { startExample } from "../../kit/example.ts";
import { testWith } from "../../kit/programs.ts";
import { dataFolder, FLAGS } from "../main/kit.ts";

testWith(
  "chromium",
  "B21 a folder of files is an app: two browsers agree on its orders",
  async (executablePath) => {
    using data = dataFolder();
    const args = [...FLAGS, "main.ts", "--config", "examples/no_code/plugboard.json"];
    await using example = await startExample(args, { env: { DATA_DIR: data.path } });
    const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
    try {
      const [one, two] = [await browser.newPage(), await browser.newPage()];
      for (const page of [one, two]) {
        page.on("pageerror", (error) => assert.fail(error));
        await page.goto(example.url);
        await page.getByText("live", { exact: true }).waitFor();
      }
      await one.fill("[name=customer]", "Ada <b>Lovelace</b>");
      await one.fill("[name=total]", "12.5");
      await one.getByText("Add order").click();
      await two.locator("#pending tr").waitFor();
      assert.equal(await two.locator("#pending td").nth(1).textContent(), "Ada <b>Lovelace</b>");
      await two.getByText("New: order 1 of Ada <b>Lovelace</b>").waitFor();
      await two.getByText("Ship").click();
      await one.locator("#turnover").getByText("shipped").waitFor();
      await one.locator("#pending tr").waitFor({ state: "detached" });
      await one.fill("[name=customer]", "   ");
      await one.fill("[name=total]", "-1");
      await one.getByText("Add order").click();
      await one.getByText("a customer has a name of 1 to 100 characters").waitFor();
    } finally {
      await browser.close();
    }
  },
);
