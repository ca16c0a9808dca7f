/** Tests of stopping and restarting `main.ts`. */

import assert from "node:assert/strict";
import { createMergeableStore } from "tinybase";
import { root } from "../../kit/example.ts";
import { freePort } from "../../kit/ports.ts";
import { heard, sdkClient, transportNames } from "../../kit/centrifuge.ts";
import { Client, RawClient, until, within } from "../../kit/mod.ts";
import { converged, synced } from "../../plugins/tinybase/kit.ts";
import { dataFolder, type Main, OPEN, runMain, startMain, stopsCleanly } from "./kit.ts";

const text = (words: string) => new TextEncoder().encode(words);

/** Sends a request whose body never ends. */
function endlessRequest(server: Main, path: string): Promise<RawClient> {
  return sendRaw(server, `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 100\r\n\r\n{"type`);
}

async function sendRaw(server: Main, request: string): Promise<RawClient> {
  const raw = await RawClient.connect(Number(new URL(server.url).port));
  await raw.write(text(request));
  return raw;
}

Deno.test("SIGTERM disconnects all clients in time and without warnings", async () => {
  using data = dataFolder();
  await using server = await startMain({ DATA_DIR: data.path, DRAIN_MS: "3000" });
  const { url } = server;
  await using open = new AsyncDisposableStack();
  const paths = ["/ws", "/sync/x", "/relay/x", "/hub/ws?userId=ada", "/chat/ws/general/Ada", "/echo"];
  const clients = await Promise.all(paths.map((path) => Client.connect(url + path)));
  const gone = transportNames.map((transport) => {
    const { sdk } = open.use(
      sdkClient(url, transport, { minReconnectDelay: 60_000, maxReconnectDelay: 60_000 }),
    );
    const away = heard(sdk, "connecting");
    sdk.connect();
    return { ready: sdk.ready(), away };
  });
  await Promise.all(gone.map(({ ready }) => ready));
  for (const { away } of gone) await away.next();
  const trace = await fetch(`${url}/api/trace?channel=x`);
  open.use(await endlessRequest(server, "/hub/api/send"));
  open.use(await endlessRequest(server, "/chat/rooms"));
  open.use(await sendRaw(server, "GET /health HT"));
  const crowd = await Promise.all(Array.from({ length: 200 }, () => Client.connect(`${url}/ws`)));

  assert.equal(await within("the end, soon after the drain", server.stop(), 20_000), 0);
  for (const client of [...clients, ...crowd]) assert.equal((await client.closed).code, 3001);
  for (const { away } of gone) assert.equal((await away.next()).code, 3001);
  assert.match(await trace.text(), /following/);
  assert.deepEqual(server.warnings(), [OPEN]);
});

Deno.test("durable data survives a kill and a stop", async () => {
  using data = dataFolder();
  const env = { DATA_DIR: data.path, DURABLE: "orders" };
  const list = createMergeableStore();
  let room = { id: "" };
  let member = { clientId: "", clientToken: "" };
  let offset = 0;
  for (const end of ["SIGKILL", "SIGTERM", undefined] as const) {
    await using server = await startMain(env);
    const { url } = server;
    await using json = await Client.connect(`${url}/ws`);
    await json.nextJson();
    if (offset > 0) {
      const rooms = await (await fetch(`${url}/chat/rooms`)).json();
      assert.ok(rooms.some(({ id }: { id: string }) => id === room.id));
      json.sendJson({ type: "subscribe", channel: "orders:all", data: { since: 0 } });
      assert.equal((await json.nextJson()).data.recovered, true);
      for (let i = 1; i <= offset; i++) assert.equal((await json.nextJson()).offset, i);
      await using back = await Client.connect(
        `${url}/relay/team?clientId=${member.clientId}&clientToken=${encodeURIComponent(member.clientToken)}`,
      );
      assert.match(await back.nextText(), /\|r1\|note\|while you were away/);
      await using todos = await synced(`${url}/sync/list`);
      await converged(todos.store, list);
    }
    json.sendJson({ type: "publish", channel: "orders:all", data: { total: offset } });
    while ((await json.nextJson()).type !== "published");
    offset++;
    room = await (await fetch(`${url}/chat/rooms`, { method: "POST", body: `{"name":"Room ${offset}"}` }))
      .json();
    await using ada = await Client.connect(`${url}/relay/team?clientId=new`);
    member = JSON.parse((await ada.nextText()).split("|")[3]!);
    await ada.close();
    await using bob = await Client.connect(`${url}/relay/team?clientId=new`);
    await bob.nextText();
    bob.send(`${member.clientId}|r1|note|while you were away ${offset}`);
    bob.send(`nobody|r2|note|confirms that the first was processed`);
    assert.match(await bob.nextText(), /^S\|r2\|error/);
    await using mine = await synced(`${url}/sync/list`, { store: list });
    list.setCell("todos", `${offset}`, "text", `Buy milk ${offset}`);
    await using other = await synced(`${url}/sync/list`);
    await until(
      "the server's copy",
      () => other.store.getCell("todos", `${offset}`, "text") === `Buy milk ${offset}`,
    );
    await Promise.all([mine.close(), other.close()]);
    if (end === "SIGKILL") {
      // Neither is acknowledged once it is on disk, so the test checks the file.
      const log = new URL(`${data.path}/plugboard.db-wal`, root);
      const expected = [`away ${offset}`, `Buy milk ${offset}`];
      await until(
        "both on disk",
        () => expected.every((words) => Deno.readTextFileSync(log).includes(words)),
      );
      server.kill("SIGKILL");
      await server.ended;
    } else await stopsCleanly(server, [OPEN]);
  }
});

Deno.test("can be stopped during the start, and by a second signal", async () => {
  using data = dataFolder();
  {
    await using server = await startMain({ DATA_DIR: data.path }, { ready: "no sign-in is configured" });
    await stopsCleanly(server, [OPEN]);
  }
  await using server = await startMain({ DATA_DIR: data.path, DRAIN_MS: "60000" });
  using _slow = await endlessRequest(server, "/hub/api/send");
  await until("the request", async () => (await (await fetch(`${server.url}/metrics`)).text()).length > 0);
  server.kill("SIGTERM");
  await until(
    "the end of listening",
    () => fetch(`${server.url}/health`).then((r) => (r.body?.cancel(), r.status === 503), () => true),
  );
  server.kill("SIGTERM");
  assert.equal(await within("the end", server.ended), 130);
});

Deno.test("a port in use and an unusable folder fail the start with one sentence", async () => {
  using data = dataFolder();
  const port = freePort();
  using _taken = Deno.listen({ port, hostname: "127.0.0.1" });
  const taken = await runMain({ DATA_DIR: data.path, PORT: String(port), LOG_LEVEL: "error" });
  assert.deepEqual(taken, {
    code: 1,
    stdout: "",
    stderr:
      `Cannot listen on 127.0.0.1:${port}: the address is in use; stop the program that uses it, or choose another port`,
  });
  const elsewhere = await runMain({ DATA_DIR: "/nowhere" });
  assert.equal(elsewhere.code, 1);
  assert.match(elsewhere.stderr, /^Cannot start persistence with "\/nowhere\/plugboard.db": [^\n]*$/);
});
