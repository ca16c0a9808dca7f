/** Requests that reach a worker are answered by the main thread, as if they had reached it. */

import assert from "node:assert/strict";
import type { App, RequestInfo } from "../../../core/mod.ts";
import { echo } from "../../../plugins/protocols/echo.ts";
import { clientIpFrom } from "../../../plugins/shared/client_ip.ts";
import { workers } from "../../../plugins/workers.ts";
import { RawClient, serve, until, within } from "../../kit/mod.ts";

const site = (routes: (app: App) => void) => ({ name: "site", routes });
const cores = () => workers({ count: 2 });

/** Sends a request as text, and returns the whole response as text. */
async function exchange(port: number, text: string): Promise<string> {
  using client = await RawClient.connect(port);
  await client.write(new TextEncoder().encode(text));
  let response = "";
  for (let part = await client.read(); part !== null; part = await client.read()) {
    response += new TextDecoder().decode(part);
  }
  return response;
}

Deno.test("URL, method, headers and body of a request and its response cross unchanged", async () => {
  const seen: { url: string; method: string; headers: [string, string][]; body: string }[] = [];
  await using server = await serve(
    {},
    cores(),
    site((app) => {
      app.all("*", async (c) => {
        const { url, method, headers } = c.req.raw;
        seen.push({ url, method, headers: [...headers], body: await c.req.text() });
        const answer = new Response("done", { status: 203, statusText: "Done", headers: { "x-one": "1" } });
        answer.headers.append("set-cookie", "a=1");
        answer.headers.append("set-cookie", "b=2");
        return answer;
      });
    }),
  );
  const host = `127.0.0.1:${server.port}`;
  const response = await exchange(
    server.port,
    `PATCH /a/../b%2e/c?x=%20y HTTP/1.1\r\nHost: ${host}\r\nX-Two: 2\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello`,
  );
  assert.deepEqual(seen, [{
    url: `http://${host}/a/../b%2e/c?x=%20y`,
    method: "PATCH",
    headers: [["connection", "close"], ["content-length", "5"], ["host", host], ["x-two", "2"]],
    body: "hello",
  }]);
  const [head, body] = response.split("\r\n\r\n");
  assert.match(head!, /^HTTP\/1.1 203 /);
  for (const line of ["x-one: 1", "set-cookie: a=1", "set-cookie: b=2", "content-length: 4"]) {
    assert.ok(head!.includes(line), head);
  }
  assert.equal(body, "done");
});

Deno.test("methods that a Request does not allow are refused, and HEAD has no body", async () => {
  await using server = await serve({}, cores(), site((app) => app.get("/page", (c) => c.text("page"))));
  const ask = (method: string) =>
    exchange(server.port, `${method} /page HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
  for (const method of ["TRACE", "CONNECT", "BREW"]) {
    assert.match(await ask(method), /^HTTP\/1.1 40[05]/, method);
  }
  const head = await ask("HEAD");
  assert.match(head, /^HTTP\/1.1 200/);
  assert.ok(head.endsWith("\r\n\r\n"));
});

Deno.test("the client's address is the peer's, and a proxy's header counts only if the proxy is trusted", async () => {
  const ips: string[] = [];
  const watcher = { name: "watcher", open: ({ ip }: { ip: string }) => void ips.push(ip) };
  for (const trusted of [[], ["loopback"]]) {
    await using server = await serve(
      { clientIp: clientIpFrom({ trusted }) },
      cores(),
      watcher,
      echo(),
      site((app) => app.get("/ip", (c) => c.text(c.env.ip))),
    );
    const headers = { "x-forwarded-for": "203.0.113.7" };
    const expected = trusted.length === 0 ? "127.0.0.1" : "203.0.113.7";
    assert.equal(await (await server.fetch("/ip", { headers })).text(), expected);
    await using _client = await server.connect("/echo", [], headers);
    await until("the connection", () => ips.length > 0);
    assert.equal(ips.pop(), expected);
  }
});

Deno.test("bodies stream both ways, and neither side is read faster than the other reads", async () => {
  let produced = 0;
  await using server = await serve(
    { drainMs: 200 },
    cores(),
    site((app) => {
      app.post("/mirror", (c) => new Response(c.req.raw.body));
      app.get("/endless", () =>
        new Response(
          new ReadableStream({
            pull(controller) {
              produced++;
              controller.enqueue(new Uint8Array(65_536));
            },
          }, { highWaterMark: 0 }),
        ));
    }),
  );
  const sizes = [1, 100_000, 3_000_000];
  for (const size of sizes) {
    const body = new Uint8Array(size).map((_, i) => i % 251);
    const answer = await server.fetch("/mirror", { method: "POST", body });
    assert.deepEqual(await answer.bytes(), body);
  }
  using client = await RawClient.connect(server.port);
  await client.write(new TextEncoder().encode("GET /endless HTTP/1.1\r\nHost: x\r\n\r\n"));
  await client.read();
  let before = -1;
  await until("the pause", async () => {
    const isPaused = produced === before;
    before = produced;
    // Other requests go the same way, so what is asked for meanwhile is produced.
    for (let i = 0; i < 20; i++) await (await server.fetch("/mirror", { method: "POST", body: "x" })).bytes();
    return isPaused;
  });
  assert.ok(produced < 300, `${produced} parts for a client that does not read`);
});

Deno.test("a client that leaves ends the response, aborts the signal, and completes the request", async () => {
  const events: string[] = [];
  await using server = await serve(
    {},
    cores(),
    site((app) => {
      app.get("/stream", (c) => {
        c.req.raw.signal.addEventListener("abort", () => events.push("aborted"));
        void (c.env as RequestInfo).completed!().then(() => events.push("completed"));
        return new Response(
          new ReadableStream({
            start: (controller) => controller.enqueue(new TextEncoder().encode("begun")),
            cancel: () => void events.push("canceled"),
          }),
        );
      });
    }),
  );
  const abort = new AbortController();
  const response = await server.fetch("/stream", { signal: abort.signal });
  const reader = response.body!.getReader();
  assert.equal(new TextDecoder().decode((await reader.read()).value), "begun");
  abort.abort();
  await reader.read().catch(() => {});
  await until("the end", () => events.length === 3);
  assert.deepEqual(events.sort(), ["aborted", "canceled", "completed"]);
});

for (const count of [0, 2]) {
  Deno.test(`a handler learns that its client has left before the answer, with ${count} workers`, async () => {
    const asked = Promise.withResolvers<AbortSignal>();
    const release = Promise.withResolvers<void>();
    await using server = await serve(
      {},
      site((app) =>
        app.all("/slow", async (c) => {
          const { signal } = c.req.raw;
          asked.resolve(signal);
          await release.promise;
          return c.text("late");
        })
      ),
      ...(count > 0 ? [workers({ count })] : []),
    );
    const abort = new AbortController();
    const response = server.fetch("/slow", { method: "POST", body: "something", signal: abort.signal });
    const signal = await asked.promise;
    assert.equal(signal.aborted, false);
    abort.abort();
    await assert.rejects(response);
    await until("the abort", () => signal.aborted);
    release.resolve();
    assert.equal(server.log.size, 0);
  });
}

Deno.test("a handler's signal is not aborted when the client gets its answer", async () => {
  const signals: AbortSignal[] = [];
  await using server = await serve(
    {},
    cores(),
    site((app) =>
      app.get("/fast", (c) => {
        signals.push(c.req.raw.signal);
        return c.text("done");
      })
    ),
  );
  for (let i = 0; i < 3; i++) assert.equal(await (await server.fetch("/fast")).text(), "done");
  assert.deepEqual(signals.map(({ aborted }) => aborted), [false, false, false]);
});

Deno.test("a response that cannot be sent costs one request, not the worker", async () => {
  await using server = await serve(
    {},
    workers({ count: 1 }),
    echo(),
    site((app) => app.get("/error", () => Response.error())),
  );
  await using client = await server.connect("/echo");
  const response = await server.fetch("/error");
  await response.body?.cancel();
  assert.equal(response.status, 500);
  client.send("alive");
  assert.equal(await client.next(), "alive");
  assert.equal(server.log.size, 0);
});

Deno.test("a body of a method that looks like GET or HEAD costs nothing, and never the process", async () => {
  await using server = await serve({}, cores(), site((app) => app.all("*", (c) => c.text("page"))));
  for (const method of ["get", "Head", "HEAD", "GET"]) {
    const head = `${method} /page HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nConnection: close`;
    assert.match(await exchange(server.port, `${head}\r\n\r\nhello`), /^HTTP\/1.1 200/, method);
  }
  assert.equal(server.log.size, 0);
});

Deno.test("a response that was sent before is answered with 500, and never ends the process", async () => {
  const used = new Response("used");
  const refusal = new Response("refused", { status: 403 });
  const guard = { name: "guard", upgrade: () => refusal };
  await using server = await serve(
    {},
    workers({ count: 1 }),
    guard,
    echo(),
    site((app) => app.get("/used", () => used)),
  );
  assert.equal(await (await server.fetch("/used")).text(), "used");
  const again = await server.fetch("/used");
  await again.body?.cancel();
  assert.equal(again.status, 500);
  await assert.rejects(server.connect("/echo"), /403/);
  await assert.rejects(server.connect("/echo"), /500/);
  assert.deepEqual(server.log.take().map(({ plugin, message }) => [plugin, message]), [
    ["workers", "an answer cannot be sent"],
    ["workers", "an answer cannot be sent"],
  ]);
});

Deno.test("a stop answers pending requests, and then closes the port", async () => {
  const asked = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<void>();
  const server = await serve(
    {},
    cores(),
    site((app) =>
      app.get("/slow", async (c) => {
        asked.resolve();
        await answer.promise;
        return c.text("late");
      })
    ),
  );
  const response = server.fetch("/slow");
  await asked.promise;
  const stopping = server[Symbol.asyncDispose]();
  const isClosed = () =>
    server.fetch("/").then((other) => other.body?.cancel().then(() => false), () => true);
  await until("the closed port", async () => await isClosed() === true);
  answer.resolve();
  assert.equal(await (await within("the answer", response)).text(), "late");
  await stopping;
  await assert.rejects(server.fetch("/slow"));
});
