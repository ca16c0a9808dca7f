/**
 * Three nodes and Redis on this machine. What is published on one node arrives on the others, and a client whose node is
 * killed recovers on another one.
 *
 *     deno run --allow-run --allow-net --allow-env --allow-read --allow-write examples/cluster.ts
 *
 * It needs `redis-server`. The nodes run until Ctrl-C, for clients of your own:
 *
 *     wscat -c ws://localhost:8091/ws      wscat -c ws://localhost:8092/ws
 *     > {"type":"subscribe","channel":"news"}
 *                                          > {"type":"publish","channel":"news","data":"hello"}
 */

import { loadSettings, setting } from "@plugboard/server";

const { PORT } = loadSettings({ PORT: setting.integer(8091, "Port of the first node; the others follow") });
const folder = await Deno.makeTempDir();
const children: Deno.ChildProcess[] = [];
const say = (line: string) => void Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));

function stop(code: number): never {
  for (const child of children) {
    try {
      child.kill("SIGKILL");
    } catch { /* It has ended. */ }
  }
  Deno.removeSync(folder, { recursive: true });
  Deno.exit(code);
}
// The signal of a closed terminal, too.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) Deno.addSignalListener(signal, () => stop(0));

/** Starts a program; its output is not shown. */
function start(program: string, args: string[], env: Record<string, string> = {}): Deno.ChildProcess {
  const child = new Deno.Command(program, { args, env, stdout: "null", stderr: "inherit" }).spawn();
  children.push(child);
  return child;
}

/** Returns this port if it is free, or another one. */
function freePort(wanted = 0): number {
  try {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: wanted });
    return listener.addr.port;
  } catch {
    return freePort();
  }
}

/** Starts Redis; returns its URL. */
function startRedis(): string {
  const port = freePort(PORT + 3);
  start("redis-server", ["--port", `${port}`, "--bind", "127.0.0.1", "--dir", folder, "--appendonly", "yes"]);
  return `redis://127.0.0.1:${port}`;
}

/** Tries until it succeeds, for half a minute. */
async function eventually<T>(work: () => Promise<T>): Promise<T> {
  for (const end = performance.now() + 30_000;;) {
    try {
      return await work();
    } catch (error) {
      if (performance.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** A client of one node, with the json protocol. */
async function connect(port: number) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`);
  const arrived: { type: string; data: unknown }[] = [];
  socket.onmessage = ({ data }) => void arrived.push(JSON.parse(data));
  const next = (type: string) =>
    eventually(async () => {
      const found = arrived.findIndex((message) => message.type === type);
      if (found === -1) throw new Error(`no ${type}`);
      return await Promise.resolve(arrived.splice(0, found + 1)[found]!.data);
    });
  await new Promise((resolve, reject) => [socket.onopen, socket.onerror] = [resolve, reject]);
  return { send: (message: unknown) => socket.send(JSON.stringify(message)), next };
}

try {
  const REDIS_URL = startRedis();
  await eventually(async () => (await Deno.connect({ port: Number(new URL(REDIS_URL).port) })).close());
  const main = new URL("../main.ts", import.meta.url).pathname;
  const ports = [PORT, freePort(PORT + 1), freePort(PORT + 2)];
  const nodes = ports.map((port) =>
    start(Deno.execPath(), ["run", "--quiet", "--allow-all", main], {
      REDIS_URL,
      PORT: `${port}`,
      DATA_DIR: `${folder}/${port}`,
      LOG_LEVEL: "error",
    })
  );
  await Promise.all(ports.map((port) =>
    eventually(async () => {
      const response = await fetch(`http://127.0.0.1:${port}/health/ready`);
      await response.body?.cancel();
      if (!response.ok) throw new Error(`Node ${port} is not ready`);
    })
  ));
  say(`Three nodes share Redis: ${ports.map((port) => `http://127.0.0.1:${port}`).join(", ")}`);

  const [reader, writer] = [await connect(ports[1]!), await connect(ports[2]!)];
  reader.send({ type: "subscribe", channel: "news" });
  const { position } = await reader.next("subscribed") as { position: unknown };
  writer.send({ type: "publish", channel: "news", data: "hello from the third node" });
  say(`The second node received: ${JSON.stringify(await reader.next("message"))}`);

  nodes[1]!.kill("SIGKILL");
  writer.send({ type: "publish", channel: "news", data: "the second node is gone" });
  const again = await connect(ports[0]!);
  again.send({ type: "subscribe", channel: "news", data: { since: position } });
  await again.next("subscribed");
  for (let i = 0; i < 2; i++) {
    say(`Recovered on the first node: ${JSON.stringify(await again.next("message"))}`);
  }
} catch (error) {
  const missing = error instanceof Deno.errors.NotFound;
  say(missing ? "redis-server is not installed: apt install redis-server" : `${error}`);
  stop(1);
}
