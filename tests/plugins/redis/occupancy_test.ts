import assert from "node:assert/strict";
import type { Host, Log } from "../../../core/mod.ts";
import { redis } from "../../../plugins/redis.ts";
import { TcpProxy } from "../../kit/tcp_proxy.ts";
import { until } from "../../kit/mod.ts";
import { testWith } from "../../kit/programs.ts";
import { onlyDeclaredKeys, RedisProcess } from "../../kit/redis.ts";

onlyDeclaredKeys();
const log = { debug() {}, info() {}, warn() {}, error() {} } as unknown as Log;

/** A node that counts subscribers, and adds what it reports to a list that all nodes share. */
async function startNode(port: number, name: string, reported: string[], timeoutMs = 600) {
  const { api, start, stop } = redis({ urls: [`redis://127.0.0.1:${port}`], timeoutMs });
  await start!({ log } as Host);
  api.occupancy.start({
    log,
    occupied: (channel) => void reported.push(`${name}: +${channel}`),
    vacated: (channel) => void reported.push(`${name}: -${channel}`),
  });
  return {
    set: (occupied: boolean) => api.occupancy.set("room", occupied),
    get isUp() {
      return api.problem === undefined;
    },
    async [Symbol.asyncDispose]() {
      await api.occupancy.stop();
      await stop!();
    },
  };
}

const isCounted = async (server: RedisProcess) =>
  await server.command("HEXISTS", "plugboard:occupied:counts", "room") === ":1";
const isConfirmed = async (server: RedisProcess) =>
  await server.command("EXISTS", "plugboard:occupied:reporters") === ":0";

/** Starts two nodes. The answer to the first one's latest call, by which the channel is vacated, does not arrive. */
async function withLostAnswer(program: string) {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(new RedisProcess(program));
  await server.ready();
  const proxy = stack.use(new TcpProxy(server.port));
  const reported: string[] = [];
  const cut = stack.use(await startNode(proxy.port, "cut", reported));
  const other = stack.use(await startNode(server.port, "other", reported));
  cut.set(true);
  await until("the report", async () => reported.length === 1 && await isConfirmed(server));
  proxy.mute = true;
  cut.set(false);
  await until("the script", async () => !await isCounted(server));
  const all = stack.move();
  return { server, proxy, reported, cut, other, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

testWith(
  "redis",
  "B12 a vacated channel is reported before it is occupied again, although the answer was lost",
  async (program) => {
    await using parts = await withLostAnswer(program);
    const { server, proxy, reported, other } = parts;
    other.set(true);
    await until("its script", () => isCounted(server));
    proxy.cut();
    proxy.mute = false;
    await until("all reports", async () => reported.length === 3 && await isConfirmed(server));
    assert.deepEqual(reported.map((each) => each.split(" ")[1]), ["+room", "-room", "+room"]);
    other.set(false);
    await until("the last report", () => reported.length === 4);
    assert.equal(reported[3], "other: -room");
  },
);

testWith(
  "redis",
  "B12 what a node was about to report when it was cut off for good is reported by another one",
  async (program) => {
    await using parts = await withLostAnswer(program);
    const { server, proxy, reported, cut } = parts;
    proxy.silent = true;
    await until("the other's report", () => reported.length === 2); // In five seconds: the others believe that it lives.
    assert.deepEqual(reported, ["cut: +room", "other: -room"]);
    proxy.cut();
    proxy.silent = proxy.mute = false;
    await until("the connection", () => cut.isUp);
    cut.set(true);
    await until("its report", async () => reported.length === 3 && await isConfirmed(server), 60_000);
    assert.equal(reported[2], "cut: +room", "no report of the past");
  },
);

testWith(
  "redis",
  "B12 a report that a forgotten node has not confirmed holds nothing up",
  async (program) => {
    await using server = new RedisProcess(program);
    await server.ready();
    await server.command("HSET", "plugboard:occupied:reporters", "room", "forgotten");
    const reported: string[] = [];
    await using node = await startNode(server.port, "node", reported);
    node.set(true);
    await until("the report", () => reported.length === 1);
  },
);

testWith("redis", "B12 a node that stops leaves nothing unconfirmed", async (program) => {
  await using server = new RedisProcess(program);
  await server.ready();
  const reported: string[] = [];
  {
    await using node = await startNode(server.port, "node", reported);
    node.set(true);
    await until("the report", () => reported.length === 1);
    node.set(false);
  }
  assert.deepEqual(reported, ["node: +room", "node: -room"]);
  for (const key of ["reporters", "reports", "counts", "nodes", "dead"]) {
    assert.equal(await server.command("EXISTS", `plugboard:occupied:${key}`), ":0", key);
  }
});
