/** `examples/hub.ts` as a process with a plain WebSocket client: the scenarios of the seed. */

import assert from "node:assert/strict";
import { deno, root, type RunningExample, startExample } from "../kit/example.ts";
import { freePort } from "../kit/ports.ts";
import { Client, least, RawClient, until, within } from "../kit/mod.ts";

const HUB_API_KEY = "your-secret-key";
const RUN_HUB = ["run", "--no-prompt", "--allow-net", "--allow-env", "examples/hub.ts"];

interface HubProcess extends RunningExample {
  stats(): Promise<{ total_users: number; total_connections: number; total_sessions: number }>;
  post(path: string, body: unknown, key?: string): Promise<{ status: number; body: Record<string, unknown> }>;
}

async function startHub(
  env: Record<string, string> = {},
  { args = RUN_HUB, cwd = root }: { args?: string[]; cwd?: string | URL } = {},
): Promise<HubProcess> {
  const hub = await startExample(args, { env: { HUB_API_KEY, ...env }, cwd });
  return {
    ...hub,
    stats: async () => (await (await fetch(`${hub.url}/health`)).json()).stats,
    async post(path, body, key = HUB_API_KEY) {
      const headers = { "content-type": "application/json", "x-api-key": key };
      const response = await fetch(hub.url + path, { method: "POST", headers, body: JSON.stringify(body) });
      return { status: response.status, body: await response.json() };
    },
  };
}

/** The example request of the seed's documentation. */
const documented = {
  targetUserId: "user123",
  targetSessionId: "session456",
  message: {
    type: "notification",
    payload: { title: "Hello", body: "This is a notification" },
    timestamp: "2024-01-01T00:00:00Z",
  },
};

Deno.test("H02 H03 the documented session of the seed works, field by field", async () => {
  await using hub = await startHub();
  await using client = await Client.connect(`${hub.url}/ws?userId=user123&sessionId=session456`);
  await using tab = await Client.connect(`${hub.url}/ws?userId=user123`);
  await until("both clients", async () => (await hub.stats()).total_connections === 2);
  assert.deepEqual(await hub.stats(), { total_users: 1, total_connections: 2, total_sessions: 1 });

  const sent = await hub.post("/api/send", documented);
  assert.equal(sent.status, 200);
  assert.equal(sent.body.status, "success");
  assert.equal(sent.body.message, "Message sent successfully");
  assert.equal(sent.body.delivered, 2);
  assert.deepEqual(await client.nextJson(), documented.message);
  assert.deepEqual(await tab.nextJson(), documented.message);

  const announcement = {
    type: "announcement",
    payload: { title: "System Maintenance", body: "The system will be down for maintenance" },
    timestamp: "2024-01-01T00:00:00Z",
  };
  const broadcast = await hub.post("/api/broadcast", announcement);
  assert.equal(broadcast.status, 200);
  assert.equal(broadcast.body.message, "Broadcast sent successfully");
  assert.deepEqual(await client.nextJson(), announcement);
  assert.deepEqual(await tab.nextJson(), announcement);

  assert.equal((await hub.post("/api/send", documented, "wrong")).status, 401);
  assert.equal((await hub.post("/api/send", { message: documented.message })).status, 400);
});

Deno.test("H10 SIGTERM closes all clients with a code, refuses new ones, and ends the process with 0 in time", async () => {
  await using hub = await startHub();
  const clients = await Promise.all(
    Array.from({ length: 20 }, (_, i) => Client.connect(`${hub.url}/ws?userId=u${i}`)),
  );
  await until("all clients", async () => (await hub.stats()).total_connections === 20);
  const code = hub.stop();
  for (const { closed } of clients) {
    assert.deepEqual(await within("the close", closed), { code: 3001, reason: "shutdown" });
  }
  assert.equal(await within("the end of the process", code), 0);
  await assert.rejects(Client.connect(`${hub.url}/ws?userId=late`));
});

Deno.test("H04 H09 a hub without a key or with an invalid setting does not start and prints the reason", async () => {
  const bad: [Record<string, string>, RegExp][] = [
    [{ HUB_API_KEY: "" }, /^HUB_API_KEY must be set/],
    [{ HUB_API_KEY, PORT: "none" }, /^PORT must be a whole number up to 65535, got "none"/],
    [{ HUB_API_KEY, READ_TIMEOUT: "soon" }, /^READ_TIMEOUT must be a time/],
    [{ HUB_API_KEY, MAX_MESSAGE_SIZE: "512XB" }, /^MAX_MESSAGE_SIZE must be a size/],
  ];
  await Promise.all(bad.map(async ([env, reason]) => {
    const { code, stderr } = await deno(RUN_HUB, { env: { PORT: String(freePort()), ...env } }).output();
    assert.equal(code, 1);
    assert.match(new TextDecoder().decode(stderr), reason);
  }));
});

Deno.test("H09 the settings of the environment are used", async () => {
  await using hub = await startHub({ MAX_MESSAGE_SIZE: "1KB", READ_TIMEOUT: "1s" });
  const large = { ...documented, message: { type: "a", payload: "x".repeat(2_000) } };
  assert.equal((await hub.post("/api/send", large)).status, 413);
  await using client = await Client.connect(`${hub.url}/ws?userId=u`);
  client.send("x".repeat(2_000));
  assert.equal((await within("the refusal", client.closed)).code, 1009);

  using _silent = await RawClient.upgrade(hub.port, "/ws?userId=silent");
  await until("it to be added", async () => (await hub.stats()).total_connections === 1);
  // Without the setting, it would stay for two minutes.
  await until("it to be removed", async () => (await hub.stats()).total_connections === 0);
});

Deno.test("H05 counts are correct after the process of clients is killed or frozen", async () => {
  await using hub = await startHub({ READ_TIMEOUT: "1s" });
  const swarm = (count: number, user: string) =>
    new Deno.Command(Deno.execPath(), {
      args: [
        "eval",
        `for (let i = 0; i < ${count}; i++) new WebSocket("${hub.url}/ws?userId=${user}" + i + "&sessionId=s" + i);`,
      ],
      stdout: "null",
      stderr: "null",
    }).spawn();
  await using stays = await Client.connect(`${hub.url}/ws?userId=stays`);
  const killed = swarm(10, "killed");
  const frozen = swarm(10, "frozen");
  await until("all clients", async () => (await hub.stats()).total_connections === 21);
  assert.equal((await hub.stats()).total_users, 21);

  // The system closes the sockets of a killed process. Those of a frozen process stay open without an answer.
  killed.kill("SIGKILL");
  frozen.kill("SIGSTOP");
  await until("correct counts", async () => (await hub.stats()).total_users === 1);
  assert.deepEqual(await hub.stats(), { total_users: 1, total_connections: 1, total_sessions: 0 });
  assert.equal((await hub.post("/api/broadcast", { type: "a" })).body.delivered, 1);
  assert.equal((await stays.nextJson()).type, "a");
  frozen.kill("SIGKILL");
  await Promise.all([killed.status, frozen.status]);
});

Deno.test("H14 with 10,000 connected users, a message to one of them takes no longer than one to a single user", async () => {
  const COUNT = 10_000;
  const AT_ONCE = 50;
  const slow = { READ_TIMEOUT: "10m" }; // its clients answer no pings
  await using hub = await startHub(slow);
  await using small = await startHub(slow);
  const clients: RawClient[] = Array(COUNT);
  let next = 0;
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    while (next < COUNT) {
      const n = next++;
      clients[n] = await RawClient.upgrade(hub.port, `/ws?userId=u${n}&sessionId=s${n}`);
    }
  }));
  await until("all clients", async () => (await hub.stats()).total_connections === COUNT);
  assert.deepEqual(await hub.stats(), {
    total_users: COUNT,
    total_connections: COUNT,
    total_sessions: COUNT,
  });

  using alone = await RawClient.upgrade(small.port, "/ws?userId=u0&sessionId=s0");
  using backend = await Deno.connect({ hostname: "127.0.0.1", port: hub.port });
  using smallBackend = await Deno.connect({ hostname: "127.0.0.1", port: small.port });
  const answer = new Uint8Array(4_096);
  // A minimal backend with one connection, so that the time is the hub's.
  const send = async (backend: Deno.TcpConn, client: RawClient, n: number) => {
    backend.setNoDelay(true);
    const body = JSON.stringify({ targetUserId: `u${n}`, message: { type: "t", payload: { n } } });
    const head = `POST /api/send HTTP/1.1\r\nhost: test\r\nx-api-key: ${HUB_API_KEY}\r\n` +
      `content-length: ${body.length}\r\n\r\n`;
    const began = performance.now();
    await backend.write(new TextEncoder().encode(head + body));
    const frame = new TextDecoder().decode(await client.nextFrame(1));
    const took = performance.now() - began;
    assert.equal(JSON.parse(frame).payload.n, n);
    assert.match(
      new TextDecoder().decode(answer.subarray(0, await backend.read(answer) ?? 0)),
      /"delivered":1/,
    );
    return took;
  };
  const median = (times: number[]) => times.sort((a, b) => a - b)[times.length >> 1]!;
  const ratio = await least(3, async () => {
    const [crowd, one]: number[][] = [[], []];
    for (let i = 0; i < 200; i++) {
      const n = Math.floor(Math.random() * COUNT);
      crowd!.push(await send(backend, clients[n]!, n));
      one!.push(await send(smallBackend, alone, 0));
    }
    return median(crowd!) / median(one!);
  });
  assert.ok(ratio < 3, `it takes ${ratio.toFixed(2)} times as long`);

  assert.equal((await hub.post("/api/broadcast", { type: "all" })).body.delivered, COUNT);
  for (const client of clients) {
    assert.match(new TextDecoder().decode(await client.nextFrame(1)), /"type":"all"/);
  }
  for (const client of clients) client[Symbol.dispose]();
  await until("no clients", async () => (await hub.stats()).total_connections === 0);
});
