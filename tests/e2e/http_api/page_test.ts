import assert from "node:assert/strict";
import { chromium } from "playwright-core";
import { testWith } from "../../kit/programs.ts";
import { pale, width } from "../../plugins/home/in_page.js";
import { apiServer, KEY } from "../../plugins/http_api/kit.ts";

testWith(
  "chromium",
  "B09 the page calls a method, in light and dark, on small and large screens",
  async (executablePath) => {
    await using server = await apiServer();
    const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
    const errors: string[] = [];
    try {
      for (const colorScheme of ["light", "dark"] as const) {
        for (const size of [400, 1280]) {
          const context = await browser.newContext({ colorScheme, viewport: { width: size, height: 800 } });
          const page = await context.newPage();
          page.setDefaultTimeout(30_000);
          page.on("pageerror", (error) => errors.push(String(error)));
          page.on("console", (line) => errors.push(line.text()));
          page.on("request", (request) => assert.ok(request.url().startsWith(server.url), request.url()));
          await page.goto(`${server.url}/api`);
          await page.getByRole("heading", { name: "publish" }).waitFor();
          await page.getByText("Needs the permission write:{channel}.").waitFor();
          await page.getByLabel("API key").fill(KEY);
          await page.getByLabel("Body").fill('{"channel":"from the page","data":1.10}');
          await page.getByRole("button", { name: "Send" }).click();
          await page.getByText("200 OK").waitFor();
          assert.match(await page.getByLabel("Answer").innerText(), /"offset": \d/);
          await page.getByText("The same with curl").click();
          assert.match(
            await page.getByLabel("Command").innerText(),
            /^curl -H "X-API-Key: \$KEY" -d '\{"channel":"from the page"/,
          );
          assert.equal(await page.evaluate(width), size);
          assert.deepEqual(await page.evaluate(pale), []);
          await context.close();
        }
      }
    } finally {
      await browser.close();
    }
    assert.deepEqual(errors, []);
    assert.equal((await server.bus.history("from the page")).top.offset, 4);
  },
);
