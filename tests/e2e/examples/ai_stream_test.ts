import assert from "node:assert/strict";
import { chromium, type Page } from "playwright-core";
import { sdkClient } from "../../kit/centrifuge.ts";
import { runExample } from "../../kit/example.ts";
import { testWith } from "../../kit/programs.ts";

const answer = (page: Page) => page.locator("#answer").innerText();

testWith(
  "chromium",
  "an answer survives a reload, shows in a second tab, and can be stopped",
  async (path) => {
    await using example = await runExample("examples/ai_stream.ts", { TOKEN_MS: "40" });
    const browser = await chromium.launch({ executablePath: path, args: ["--no-sandbox"] });
    try {
      const page = await browser.newPage();
      page.setDefaultTimeout(30_000);
      page.on("pageerror", (error) => assert.fail(error));
      await page.goto(example.url);
      await page.getByLabel("Your question").fill("And now?");
      await page.keyboard.press("Enter");
      await page.getByRole("button", { name: "Stop" }).click();
      await page.getByText("Stopped.").waitFor();
      const part = await answer(page);

      await page.getByLabel("Your question").fill("<b>Why?</b>");
      await page.keyboard.press("Enter");
      await page.getByText("You asked: “<b>Why?</b>”. This answer is").waitFor();
      await page.reload();
      await page.getByText("You asked: “<b>Why?</b>”. This answer is").waitFor();
      const second = await browser.newPage();
      await second.goto(page.url());
      await page.getByText("The answer is complete.").waitFor();
      await second.getByText("The answer is complete.").waitFor();
      const whole = await answer(page);
      assert.equal(whole.match(/kept in the history of its channel\./g)!.length, 4);
      assert.equal(await answer(second), whole);
      assert.ok(part.length < whole.length);

      await page.goto(`${example.url}/#answer:nothing`);
      await page.reload();
      await page.getByText("This answer is not kept any more.").waitFor();
    } finally {
      await browser.close();
    }
  },
);

Deno.test("questions at the same time are limited, and what is no question gets an error", async () => {
  await using example = await runExample("examples/ai_stream.ts", { TOKEN_MS: "300" });
  await using clients = new AsyncDisposableStack();
  const connected = await Promise.all(Array.from({ length: 4 }, async () => {
    const { sdk } = clients.use(sdkClient(example.url));
    sdk.connect();
    await sdk.ready();
    return sdk;
  }));
  const codeOf = (sdk: typeof connected[0], method: string, args: unknown): Promise<number> =>
    sdk.rpc(method, args).then(() => 200, ({ code }) => code);
  const wrong: [string, unknown][] = [["stop", null], ["stop", {}], ["ask", null], ["ask", {
    question: " ",
  }]];
  for (const [method, args] of wrong) {
    assert.equal(await codeOf(connected[0]!, method, args), 400, JSON.stringify([method, args]));
  }
  const asked = connected.flatMap((sdk) => {
    return Array.from({ length: 40 }, () => codeOf(sdk, "ask", { question: "Why?" }));
  });
  const answers = Object.groupBy(await Promise.all(asked), String);
  assert.deepEqual([answers["200"]?.length, answers["503"]?.length], [100, 60]);
});
