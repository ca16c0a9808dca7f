/**
 * Takes pictures of every view of the dashboard: narrow and wide, light and dark, into `dist/screenshots`. Those of the
 * README are replaced, too. `--seconds 60` is how long the world runs before.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { chromium } from "playwright-core";
import { findProgram, programs } from "../kit/programs.ts";
import { KEY } from "../plugins/dashboard/kit.ts";
import { world } from "./world.ts";

/** The views by the names of their pictures. */
const VIEWS = {
  overview: "/",
  search: "/search?text=",
  channel: "/channel/chat%3Alobby",
  user: "/user/ada",
  may: "/may?user=ada&channel=metrics%3Acpu",
  tail: "/tail?channel=sensors%3Aroof",
  send: "/send?channel=chat%3Alobby",
  queries: "/queries",
  query: "/query/ordersByStatus",
  tables: "/tables",
  table: "/tables/orders",
  queues: "/queues",
  recorder: "/recorder",
  settings: "/settings",
};

/** Those in the README. */
const IN_README: Readonly<Record<string, string>> = {
  "overview-1280-light": "overview.png",
  "tail-1280-dark": "tail.png",
};

const executablePath = findProgram(programs.chromium);
if (executablePath === undefined) throw new Error("chromium is not installed");
const { values } = parseArgs({ options: { seconds: { type: "string", default: "60" } } });
const here = new URL("./", import.meta.url).pathname;
const folder = new URL("../../dist/screenshots/", import.meta.url).pathname;
await Deno.mkdir(folder, { recursive: true });

await using server = await world();
await new Promise((resolve) => setTimeout(resolve, Number(values.seconds) * 1_000));
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
try {
  for (const colorScheme of ["light", "dark"] as const) {
    for (const width of [400, 1_280]) {
      const page = await browser.newPage({ colorScheme, viewport: { width, height: 800 } });
      await page.goto(`${server.url}/admin`);
      await page.getByLabel("API key").fill(KEY);
      await page.getByRole("button", { name: "Sign in" }).click();
      for (const [name, view] of Object.entries(VIEWS)) {
        const picture = `${name}-${width}-${colorScheme}`;
        await page.goto(`${server.url}/admin#${view}`);
        await page.waitForTimeout(2_000); // what a reader would see after a moment
        if (name === "tail") {
          await page.getByRole("button", { name: "Pause" }).click();
          await page.getByRole("combobox", { name: "Event" }).selectOption("delivery");
          await page.locator(".event").nth(2).click();
        }
        await page.screenshot({ path: `${folder}${picture}.png`, fullPage: true });
        const kept = IN_README[picture];
        if (kept !== undefined) await page.screenshot({ path: here + kept });
      }
      await page.close();
    }
  }
} finally {
  await browser.close();
}
