import assert from "node:assert/strict";
import axeSource from "npm:axe-core@4.14.1" with { type: "text" };
import { type Browser, chromium, type Page } from "playwright-core";
import { KEY } from "../../plugins/dashboard/kit.ts";
import { cutOff, width } from "../../plugins/home/in_page.js";

type ContextOptions = NonNullable<Parameters<Browser["newContext"]>[0]>;

/** A browser, closed at the end of the block. It collects what its pages complain about. */
export async function openBrowser(executablePath: string) {
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  const complaints: string[] = [];

  /** Opens the page, without signing in. */
  async function open(url: string, options: ContextOptions = {}): Promise<Page> {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    page.setDefaultTimeout(30_000);
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("console", (line) => {
      if (["error", "warning"].includes(line.type())) complaints.push(line.text());
    });
    await page.goto(url);
    return page;
  }

  return {
    /** Returns and forgets what the pages complained about. */
    complaints: () => complaints.splice(0),
    open,
    /** Opens a view and signs in. */
    async signedIn(url: string, options?: ContextOptions): Promise<Page> {
      const page = await open(url, options);
      await signIn(page, KEY);
      await live(page);
      return page;
    },
    [Symbol.asyncDispose]: () => browser.close(),
  };
}

export async function signIn(page: Page, key: string): Promise<void> {
  await page.getByLabel("API key").fill(key);
  await page.getByRole("button", { name: "Sign in" }).click();
}

/** Waits until live data arrives. */
export const live = (page: Page) =>
  page.getByRole("status").getByText("Live", { exact: true }).first().waitFor();

/** Opens a view of a page that is signed in. */
export async function go(page: Page, hash: string): Promise<void> {
  await page.goto(`${page.url().split("#")[0]}#${hash}`);
}

/** Asserts that axe finds nothing serious, and that nothing is wider than the screen. */
export async function isAccessible(page: Page): Promise<void> {
  await page.evaluate(axeSource);
  const found = await page.evaluate("axe.run(document, { resultTypes: ['violations'] })") as {
    violations: { id: string; impact: string; nodes: { html: string; failureSummary: string }[] }[];
  };
  const serious = found.violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
  assert.deepEqual(
    serious.map((
      { id, nodes },
    ) => [id, ...nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`)]),
    [],
  );
  assert.ok(await page.evaluate(width) <= page.viewportSize()!.width, "the page is wider than the screen");
}

export { cutOff };
