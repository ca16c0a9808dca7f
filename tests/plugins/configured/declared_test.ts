/** Migrations, recurring publications and pages of a file. */

import assert from "node:assert/strict";
import { persistence } from "../../../plugins/persistence.ts";
import { pages } from "../../../plugins/pages.ts";
import { migrateFrom } from "../../../plugins/servers/configured/migrations.ts";
import { Server } from "../../../core/mod.ts";
import { startReloadable } from "./kit.ts";

const A = { name: "001_a.sql", sql: "CREATE TABLE a (id INTEGER PRIMARY KEY); INSERT INTO a VALUES (1);" };
const B = { name: "002_b.sql", sql: "INSERT INTO a VALUES (2);" };

Deno.test("B21 each migration runs once, completely or not at all, and history cannot be changed", async () => {
  const server = new Server({ port: false });
  const store = server.use(persistence({ path: ":memory:" }));
  await server.start();
  try {
    const ids = () => store.all<{ id: number }>("SELECT id FROM a ORDER BY id").map(({ id }) => id);
    await migrateFrom(store, [A]);
    await migrateFrom(store, [A, B]);
    await migrateFrom(store, [A, B]);
    assert.deepEqual(ids(), [1, 2]);
    const broken = { name: "003_c.sql", sql: "INSERT INTO a VALUES (3); INSERT INTO missing VALUES (1);" };
    await assert.rejects(migrateFrom(store, [A, B, broken]), {
      message: "The migration 003_c.sql failed: no such table: missing",
    });
    assert.deepEqual(ids(), [1, 2]);
    const early = { name: "000_x.sql", sql: "SELECT 1" };
    await assert.rejects(
      migrateFrom(store, [A, { ...B, sql: "SELECT 1" }]),
      /002_b\.sql has run, and was changed/,
    );
    await assert.rejects(migrateFrom(store, [early, A, B]), /000_x\.sql is new, but comes before/);
    await assert.rejects(migrateFrom(store, [A]), /002_b\.sql has run, and is missing/);
    await migrateFrom(
      store,
      [A, { ...B, sql: B.sql + "\n" }].map((file) => ({ ...file, sql: file.sql.trim() })),
    );
  } finally {
    await server.stop();
  }
});

Deno.test("B21 declared publications are scheduled once; changed and removed ones end", async () => {
  const news = { channel: "news", data: 1, every: "0 7 * * *" };
  await using server = await startReloadable({ schedule: { news, other: { ...news, channel: "other" } } });
  const channels = (await server.later.list()).map(({ channel }) => channel).sort();
  assert.deepEqual(channels, ["news", "other"]);
  assert.equal((await (await fetch(`${server.url}/plugboard.schema.json`)).json()).title, "Plugboard");
  const wrong = startReloadable({ schedule: { x: { ...news, every: "never" } } });
  await assert.rejects(wrong, /^PlugboardError: schedule\.x: /);
});

Deno.test("B21 pages are served from their folder alone", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${folder}/pages/.git`, { recursive: true });
    await Deno.mkdir(`${folder}/pages/sub`);
    await Deno.writeTextFile(`${folder}/secret.txt`, "geheim");
    await Deno.writeTextFile(`${folder}/pages/.env`, "geheim");
    await Deno.writeTextFile(`${folder}/pages/.git/config`, "geheim");
    await Deno.writeTextFile(`${folder}/pages/index.html`, "<h1>home");
    await Deno.writeTextFile(`${folder}/pages/sub/index.html`, "<h1>sub");
    const server = new Server({ port: 0 });
    server.use(pages({ folder: `${folder}/pages` }));
    server.use({ name: "api", routes: (app) => void app.get("/api", (c) => c.text("api")) });
    await server.start();
    try {
      const { url } = server.address;
      const get = async (path: string, method = "GET") => {
        const response = await fetch(url + path, { method });
        return `${response.status} ${await response.text()}`;
      };
      assert.equal(await get("/"), "200 <h1>home");
      assert.equal(await get("/sub/"), "200 <h1>sub");
      assert.equal(await get("/", "HEAD"), "200 ");
      assert.equal(await get("/api"), "200 api");
      const hostile = [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/.env",
        "/.git/config",
        "/%2eenv",
      ];
      hostile.push(
        "/sub/..%5c..%5csecret.txt",
        `/${"a".repeat(5_000)}`,
        "/%00",
        "/%ff",
        "/sub//..//.env",
        "//etc/passwd",
      );
      for (const path of hostile) {
        const answer = await get(path);
        assert.ok(!answer.includes("geheim") && !answer.startsWith("500"), `${path}: ${answer}`);
      }
      assert.match(await get("/", "POST"), /^405/);
    } finally {
      await server.stop();
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
