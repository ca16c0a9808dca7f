import assert from "node:assert/strict";
import type { Log } from "../../../core/mod.ts";
import { parseRedisUrl } from "../../../plugins/redis/address.ts";
import { Link } from "../../../plugins/redis/link.ts";
import { openConnection, prepare } from "../../../plugins/redis/opening.ts";
import { findPrimary } from "../../../plugins/redis/sentinels.ts";
import { Inbox, until, within } from "../../kit/mod.ts";
import { testWith } from "../../kit/programs.ts";
import { RedisProcess } from "../../kit/redis.ts";

const EVENTS = { message() {}, moved() {}, failed() {} };

const connect = (url: string) =>
  openConnection(parseRedisUrl(url), EVENTS, { ms: 5_000 }, ({ connection }) => connection);

/** Starts a server whose disk cannot be written to. */
async function withoutDisk(program: string): Promise<RedisProcess> {
  const dir = await Deno.makeTempDir();
  const server = new RedisProcess(program, ["--dir", dir]);
  await server.ready();
  await Deno.remove(dir);
  const connection = await connect(server.url);
  await connection.send(["CONFIG", "SET", "save", "3600 1"]);
  await connection.send(["BGSAVE"]);
  connection.destroy();
  await until("the failure", async () => (await server.command("PING")).startsWith("-MISCONF"));
  return server;
}

testWith(
  "redis",
  "B12 on a server that cannot write to its disk, each command gets its own answer",
  async (program) => {
    await using server = await withoutDisk(program);
    const connection = await connect(server.url);
    // PING is an error there, and a subscription works.
    const answers = await Promise.all([
      connection.subscribe(["a"]).then(() => "subscribed"),
      connection.send(["ECHO", "1"]).then(String),
      connection.unsubscribe("a").then(() => "unsubscribed"),
      connection.send(["ECHO", "2"]).then(String),
    ]);
    assert.deepEqual(answers, ["subscribed", "1", "unsubscribed", "2"]);
    connection.destroy();
  },
);

testWith(
  "redis",
  "B12 a server that cannot write to its disk keeps its connection, and delivers",
  async (program) => {
    await using server = await withoutDisk(program);
    const lost: string[] = [];
    const log = { warn: (message: string) => lost.push(message) } as unknown as Log;
    const limits = { timeoutMs: 1_000, maxPending: 10, maxPendingBytes: 1_000 };
    const link = new Link(parseRedisUrl(server.url), limits, log);
    await link.open();
    const messages = new Inbox<string>();
    await link.subscribe(["a"], { message: (_, bytes) => messages.put(String(bytes)), moved() {} });
    for (let i = 0; i < 20; i++) {
      await link.send(["SPUBLISH", "a", `${i}`]);
      assert.equal(await messages.next(), `${i}`);
      await new Promise((resolve) => setTimeout(resolve, 100)); // Twice the timeout in all.
    }
    assert.deepEqual(lost, []);
    await link.close();
  },
);

testWith(
  "redis",
  "B12 a user without the right to subscribe gets an error, and each command its own answer",
  async (program) => {
    await using server = new RedisProcess(program);
    await server.ready();
    assert.equal(
      await server.command("ACL", "SETUSER", "app", "on", ">secret", "&own", "+@all", "-ping"),
      "+OK",
    );
    const connection = await connect(`redis://app:secret@127.0.0.1:${server.port}`);
    const answers = await Promise.all([
      connection.subscribe(["own"]).then(() => "subscribed"),
      connection.subscribe(["other"]).catch((error) => error.message.slice(0, 6)),
      connection.send(["ECHO", "1"]).then(String),
    ]);
    assert.deepEqual(answers, ["subscribed", "NOPERM", "1"]);
    connection.destroy();
  },
);

Deno.test("B12 a server that falls silent after the sign-in is given up in time", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accept = async () => {
    for await (const conn of listener) {
      const bytes = new Uint8Array(1_000);
      // It answers HELLO and INFO, and nothing after them.
      for (const answer of ["%0\r\n", "$0\r\n\r\n"]) {
        await conn.read(bytes);
        await conn.write(new TextEncoder().encode(answer));
      }
      while (await conn.read(bytes) !== null);
      conn.close();
    }
  };
  const accepted = accept();
  const address = parseRedisUrl(`redis://127.0.0.1:${listener.addr.port}`);
  const opened = openConnection(address, EVENTS, { ms: 50 }, (opened) => prepare(opened, () => {}));
  await assert.rejects(within("an answer", opened), /^Error: no answer$/);
  const found = findPrimary([{ ...address, primary: "main" }], 50);
  await assert.rejects(within("an answer", found), /: no answer$/);
  listener.close();
  await accepted;
});

testWith(
  "redis",
  "B12 a user without a password signs in as itself, and not as the default one",
  async (program) => {
    await using server = new RedisProcess(program);
    await server.ready();
    const admin = await connect(server.url);
    await admin.send(["ACL", "SETUSER", "app", "on", "nopass", "~*", "&*", "+@all"]);
    const connection = await connect(server.url.replace("//", "//app@"));
    assert.equal(String(await connection.send(["ACL", "WHOAMI"])), "app");
    for (const each of [admin, connection]) each.destroy();
  },
);

testWith("redis", "B12 why a lost server cannot be connected to is logged once", async (program) => {
  await using server = new RedisProcess(program);
  await server.ready();
  const user = (password: string) =>
    server.command("ACL", "SETUSER", "app", "on", "resetpass", `>${password}`, "~*", "&*", "+@all");
  await user("old");
  const logged: string[] = [];
  const log = {
    info: (message: string) => logged.push(message),
    warn: (message: string, { error }: { error: string }) => logged.push(`${message}: ${error}`),
  } as unknown as Log;
  const limits = { timeoutMs: 1_000, maxPending: 10, maxPendingBytes: 1_000 };
  const link = new Link(parseRedisUrl(server.url.replace("//", "//app:old@")), limits, log);
  await link.open();
  await user("new");
  await server.command("CLIENT", "KILL", "USER", "app");
  await until("the reason", () => logged.length === 2);
  const connections = async () => Number((await server.command("CLIENT", "ID")).slice(1));
  const before = await connections();
  let own = 0;
  await until("further tries", async () => await connections() - before > ++own + 2);
  assert.match(
    logged.join("\n"),
    /^the connection to Redis is lost: .*\nRedis cannot be connected to: WRONGPASS/,
  );
  assert.equal(logged.length, 2);
  await user("old");
  await until("the connection", () => link.isUp);
  assert.deepEqual(logged.slice(2), ["the connection to Redis is back"]);
  await link.close();
});
