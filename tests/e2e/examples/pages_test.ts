/** Opens the page of each example, and the first page, on a phone and on a desk, in light and dark. */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { runExample } from "../../kit/example.ts";
import { testWith } from "../../kit/programs.ts";
import { isAccessible, openBrowser } from "../dashboard/kit.ts";

const newName = () => `ann${crypto.randomUUID().slice(0, 8)}`;

const signIn = (button: string) => async (page: Page) => {
  await page.getByLabel("Your name").fill(newName());
  await page.getByRole("button", { name: button, exact: true }).click();
};

/** The pages: how to bring them into use, and the text that they show then. */
const pages: { name: string; path?: string; text: string; use?: (page: Page) => Promise<void> }[] = [
  { name: "main.ts", text: "Connected" },
  { name: "examples/ai_stream.ts", text: "The answer is complete.", use: ask },
  { name: "examples/chat.ts", text: "in the room as ann", use: signIn("Enter") },
  { name: "examples/hono_app.ts", text: "live", use: signIn("Sign in") },
  { name: "examples/orders.ts", text: "12.50", use: order },
  { name: "examples/orders.ts", path: "react", text: "12.50", use: order },
  { name: "examples/realtime.ts", text: "is live", use: signIn("Sign in") },
  { name: "examples/sql_gui.ts", text: "Run" },
  { name: "examples/starter/main.ts", text: "Milk", use: remember },
  { name: "examples/team_chat.ts", text: "Hello", use: talk },
  { name: "examples/todo.ts", text: "Milk", use: remember },
];

async function ask(page: Page): Promise<void> {
  await page.getByLabel("Your question").fill("Why?");
  await page.keyboard.press("Enter");
}
async function order(page: Page): Promise<void> {
  await page.getByLabel("Customer").fill("Ada");
  await page.getByLabel("Total").fill("12.5");
  await page.getByRole("button", { name: "Add order" }).click();
}
async function remember(page: Page): Promise<void> {
  await page.getByRole("textbox").first().fill("Milk");
  await page.keyboard.press("Enter");
}
async function talk(page: Page): Promise<void> {
  await page.getByLabel("Name", { exact: true }).fill(newName());
  await page.getByLabel("Password").fill("correct horse");
  await page.getByRole("button", { name: "Sign up" }).click();
  await page.getByLabel("A new room").fill("Plans");
  await page.keyboard.press("Enter");
  await page.getByLabel("Message", { exact: true }).fill("Hello");
  await page.keyboard.press("Enter");
}

const screens = [
  { colorScheme: "light", viewport: { width: 400, height: 800 } },
  { colorScheme: "dark", viewport: { width: 1280, height: 800 } },
] as const;

for (const { name, path = "", text, use } of pages) {
  testWith("chromium", `the page ${path} of ${name} is accessible, and fits`, async (executablePath) => {
    const folder = await Deno.makeTempDir();
    const env = { DATA_DIR: folder, DATABASE: `${folder}/test.db`, TOKEN_MS: "1" };
    try {
      await using example = await runExample(name, env);
      await using browser = await openBrowser(executablePath);
      await Promise.all(screens.map(async (screen) => {
        const page = await browser.open(`${example.url}/${path}`, screen);
        await page.getByRole("heading", { level: 1 }).waitFor();
        await isAccessible(page);
        await use?.(page);
        await page.getByText(text).first().waitFor();
        await isAccessible(page);
      }));
      assert.deepEqual(browser.complaints(), []);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}
