/**
 * What the overview shows of workers and of several nodes, with processes of `main.ts`. It reads the tables every five
 * seconds, so this takes some seconds.
 */

import assert from "node:assert/strict";
import { Client, until } from "../../kit/mod.ts";
import { findProgram, programs, skip, testWith } from "../../kit/programs.ts";
import { RedisProcess } from "../../kit/redis.ts";
import { dataFolder, startMain } from "../main/kit.ts";
import { textsDuring } from "./in_page.js";
import { isAccessible, live, openBrowser } from "./kit.ts";

testWith(
  "chromium",
  "B14 the overview lists the workers, and their figures move with the load",
  async (chromium) => {
    using folder = dataFolder();
    await using main = await startMain({ WORKERS: "2", DATA_DIR: folder.path });
    await using browser = await openBrowser(chromium);
    const page = await browser.open(`${main.url}/admin`);
    await live(page);
    const rows = page.getByRole("region", { name: "Workers" }).getByRole("row");
    await rows.nth(2).waitFor();
    const columns = await rows.first().getByRole("columnheader").allTextContents();
    /** Returns the sum of a column over both workers. */
    const total = async (column: string) => {
      const cells = await rows.locator(`td:nth-child(${columns.indexOf(column) + 1})`).allTextContents();
      return cells.reduce((sum, text) => sum + Number(text.replaceAll(",", "")), 0);
    };
    assert.deepEqual(await rows.getByRole("rowheader").allTextContents(), ["1", "2"]);
    const before = { received: await total("In"), sent: await total("Out"), clients: await total("Clients") };

    await using clients = new AsyncDisposableStack();
    for (let i = 0; i < 6; i++) {
      const client = clients.use(await Client.connect(`${main.url}/ws`));
      for (let n = 0; n < 20; n++) client.sendJson({ type: "ping" });
      while ((await client.nextJson()).type !== "pong");
    }
    await until("the load in the table", async () => await total("In") >= before.received + 120);
    assert.ok(await total("Out") > before.sent);
    await until("the clients in the table", async () => await total("Clients") === before.clients + 6);
    await isAccessible(page);
    assert.deepEqual(browser.complaints(), []);
  },
);

const redisServer = findProgram(programs.redis);
const NODES = "B14 the overview adds up the nodes, names one that does not answer, and goes on";
if (redisServer === undefined) skip("redis-server is not installed", NODES);
else {
  testWith("chromium", NODES, async (chromium) => {
    await using redis = new RedisProcess(redisServer);
    await redis.ready();
    using folders = new DisposableStack();
    // Both have the same name by mistake.
    const start = () =>
      startMain({ REDIS_URL: redis.url, DATA_DIR: folders.use(dataFolder()).path, NODE_NAME: "web" });
    const nodes = await Promise.all([start(), start()]);
    await using first = nodes[0]!;
    await using second = nodes[1]!;
    await using clients = new AsyncDisposableStack();
    for (let i = 0; i < 10; i++) clients.use(await Client.connect(`${second.url}/ws`));
    const info = await fetch(`${second.url}/api/info`, { method: "POST", body: "{}" });
    const name = (await info.json()).result.nodes[0].name;
    assert.match(name, /^web-[0-9a-f]{8}$/);

    await using browser = await openBrowser(chromium);
    const page = await browser.open(`${first.url}/admin`);
    await live(page);
    const connections = page.getByRole("region", { name: "Connections" }).locator(".value b").first();
    const table = page.getByRole("region", { name: "Nodes" });
    await table.getByRole("row", { name }).waitFor();
    await until("the clients of both nodes", async () => await connections.textContent() === "11");
    // The nodes measure at different moments: a second must not show those of one node alone.
    assert.deepEqual(await connections.evaluate(textsDuring, 2_500), ["11"]);

    second.kill("SIGSTOP");
    try {
      await table.getByRole("alert").getByText(`No answer from ${name} since`).waitFor();
      await isAccessible(page);
      await using _ = await Client.connect(`${first.url}/ws`);
      await until("further figures", async () => await connections.textContent() === "2");
      await table.getByRole("alert").waitFor();
    } finally {
      second.kill("SIGCONT");
    }
    await table.getByRole("alert").waitFor({ state: "detached" });
    await until("the clients of both nodes", async () => await connections.textContent() === "11");
    assert.deepEqual(browser.complaints(), []);
  });
}
