import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { lockFor } from "../../../plugins/persistence/lock.ts";
import { persistence } from "../../../plugins/persistence.ts";
import { FakeClock, serve } from "../../kit/mod.ts";

Deno.test("a second server on the same database is refused with the reason", async () => {
  const dir = Deno.makeTempDirSync();
  const path = `${dir}/a.db`;
  {
    await using _first = await serve({}, persistence({ path }));
    await assert.rejects(serve({}, persistence({ path, lockTimeoutMs: 60 })), {
      code: "database_locked",
      message:
        `Cannot start persistence with "${path}": Another server uses this database; stop it, or choose another file`,
    });
    const other = new DatabaseSync(path); // a program that is no server may read and write it
    other.exec("CREATE TABLE guests (name TEXT)");
    other.close();
  }
  await using _second = await serve({}, persistence({ path }));
  Deno.removeSync(dir, { recursive: true });
});

Deno.test("a second server is refused when links lead it to the database", async () => {
  const dir = Deno.makeTempDirSync();
  Deno.mkdirSync(`${dir}/data`);
  Deno.symlinkSync(`${dir}/data`, `${dir}/folder`);
  Deno.symlinkSync(`data/a.db`, `${dir}/link.db`); // the file does not exist yet
  {
    await using _first = await serve({}, persistence({ path: `${dir}/link.db` }));
    for (const path of ["data/a.db", "folder/a.db", "folder/../data/a.db", "link.db"]) {
      await assert.rejects(serve({}, persistence({ path: `${dir}/${path}`, lockTimeoutMs: 1 })), {
        code: "database_locked",
      });
    }
  }
  assert.deepEqual([...Deno.readDirSync(`${dir}/data`)].map(({ name }) => name), ["a.db"]);
  Deno.removeSync(dir, { recursive: true });
});

Deno.test("a server whose lock file was removed leaves the database to the next one", async () => {
  const dir = Deno.makeTempDirSync();
  const path = `${dir}/a.db`;
  const clock = new FakeClock();
  const first = persistence({ path });
  const server = await serve({ clock }, first);
  {
    Deno.removeSync(`${path}.lock`);
    await using _second = await serve({}, persistence({ path }));
    clock.advance(250);
    await assert.rejects(first.api.exec("CREATE TABLE a (x)"), { code: "lock_lost" });
    await server[Symbol.asyncDispose]();
    assert.ok(Deno.statSync(`${path}.lock`), "the lock file of the second is not removed");
    await assert.rejects(serve({}, persistence({ path, lockTimeoutMs: 1 })), { code: "database_locked" });
  }
  Deno.removeSync(dir, { recursive: true });
});

Deno.test("a server that starts while another one stops waits for the database", async () => {
  const dir = Deno.makeTempDirSync();
  const path = `${dir}/a.db`;
  const lock = lockFor(path, 0);
  const worker = new Worker(new URL("lock_waiter.ts", import.meta.url), { type: "module" });
  const { promise, resolve } = Promise.withResolvers<string>();
  worker.onmessage = ({ data }) => data === "waiting" ? lock.release() : resolve(data);
  worker.postMessage(path);
  assert.equal(await promise, "locked");
  worker.terminate();
  Deno.removeSync(dir, { recursive: true });
});

Deno.test("the lock file of a killed process does not prevent a start", async () => {
  const dir = Deno.makeTempDirSync();
  Deno.writeTextFileSync(`${dir}/a.db.lock`, "");
  {
    await using _server = await serve({}, persistence({ path: `${dir}/a.db`, lockTimeoutMs: 1 }));
  }
  assert.deepEqual([...Deno.readDirSync(dir)].map(({ name }) => name), ["a.db"]);
  Deno.removeSync(dir, { recursive: true });
});

// For some calls the runtime asks for the permission to the real path.
Deno.test("a database in a linked folder opens with the permission to the link only", () => {
  const dir = Deno.makeTempDirSync();
  Deno.mkdirSync(`${dir}/real`);
  Deno.symlinkSync(`${dir}/real`, `${dir}/data`);
  const allowed = [`--allow-read=${dir}/data`, `--allow-write=${dir}/data`];
  const script = new URL("linked_child.ts", import.meta.url).pathname;
  const args = ["run", "--no-prompt", "--no-check", ...allowed, script, `${dir}/data/a.db`];
  const { success, stderr } = new Deno.Command(Deno.execPath(), { args }).outputSync();
  assert.ok(success, new TextDecoder().decode(stderr));
  assert.deepEqual([...Deno.readDirSync(`${dir}/real`)].map(({ name }) => name), ["a.db"]);
  Deno.removeSync(dir, { recursive: true });
});
