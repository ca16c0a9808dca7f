import assert from "node:assert/strict";
import { chromium, type Page } from "playwright-core";

/** The two browsers of the story. */
export interface Browsers {
  readonly one: Page;
  readonly two: Page;
}

/**
 * Two browsers agree on an orders board: one adds an order, the other ships it, and a wrong one is refused with the sentence.
 * `shown` checks what else a board shows of a new order.
 */
export async function agreeOnOrders(
  executablePath: string,
  url: string,
  { wrongTotal, sentence, shown }: {
    wrongTotal: string;
    sentence: string;
    shown?: (browsers: Browsers) => Promise<void>;
  },
): Promise<void> {
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  try {
    const [one, two] = [await browser.newPage(), await browser.newPage()];
    for (const page of [one, two]) {
      page.on("pageerror", (error) => assert.fail(error));
      await page.goto(url);
      await page.getByText("live", { exact: true }).waitFor();
    }
    await one.fill("[name=customer]", "Ada <b>Lovelace</b>");
    await one.fill("[name=total]", "12.5");
    await one.getByText("Add order").click();
    await two.locator("#pending tr").waitFor();
    assert.equal(await two.locator("#pending td").nth(1).textContent(), "Ada <b>Lovelace</b>");
    await shown?.({ one, two });
    await two.getByText("Ship").click();
    await one.locator("#turnover").getByText("shipped").waitFor();
    await one.locator("#pending tr").waitFor({ state: "detached" });
    await one.fill("[name=customer]", "   ");
    await one.fill("[name=total]", wrongTotal);
    await one.getByText("Add order").click();
    await one.getByText(sentence).waitFor();
  } finally {
    await browser.close();
  }
}
