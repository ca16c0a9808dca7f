import assert from "node:assert/strict";
import { chromium } from "playwright-core";
import { runExample } from "../../kit/example.ts";
import { testWith } from "../../kit/programs.ts";

testWith("chromium", "B07 B08 two browsers agree on the orders board at once", async (executablePath) => {
  await using example = await runExample("examples/orders.ts");
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
    await two.getByText("Ship").click();
    await one.locator("#turnover").getByText("shipped").waitFor();
    await one.locator("#pending tr").waitFor({ state: "detached" });
    await one.fill("[name=customer]", "   ");
    await one.fill("[name=total]", "1");
    await one.getByText("Add order").click();
    await one.getByText("A customer has a name").waitFor();
  } finally {
    await browser.close();
  }
});
