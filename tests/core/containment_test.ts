import assert from "node:assert/strict";
import { type AnyPlugin, type Endpoint, type HookName, PlugboardError } from "../../core/mod.ts";
import { echo } from "../../plugins/protocols/echo.ts";
import { RateLimitError } from "../../plugins/shared/rate_limit_error.ts";
import { Child, offline, serve, turn, until, within } from "../kit/mod.ts";

const boom = () => {
  throw new Error("boom");
};
/** JavaScript accepts it, the types do not. */
const rejects = (() => Promise.reject(new Error("boom"))) as () => never;

for (const [way, fails] of [["throws", boom], ["rejects", rejects]] as const) {
  for (const hook of ["open", "close", "message"] as const) {
    Deno.test(`a plugin that ${way} in its ${hook} hook costs at most the message`, async () => {
      const broken: AnyPlugin = { name: "broken", [hook]: fails };
      let closed = 0;
      await using server = await serve({}, broken, echo(), { name: "next", close: () => void closed++ });
      {
        await using client = await server.connect("/echo");
        client.send("one");
        await client.close();
      }
      await until("the close hook of the next plugin", () => closed === 1);
      const { plugin, message, fields } = await server.log.next();
      assert.deepEqual([plugin, message, fields.hook], ["broken", `${hook} failed`, hook]);
      assert.equal((fields.error as Error).message, "boom");
      assert.equal(server.server.connections.size, 0);
    });
  }

  Deno.test(`a plugin that ${way} in its upgrade hook refuses the client, and is called again for the next one`, async () => {
    let calls = 0;
    const broken: AnyPlugin = { name: "broken", upgrade: () => ++calls === 1 ? fails() : undefined };
    await using server = await serve({ maxConnections: 1 }, broken, echo());
    await assert.rejects(server.connect("/echo"), /500/);
    await using client = await server.connect("/echo");
    client.send("hello");
    assert.equal(await client.next(), "hello");
    const { plugin, fields } = await server.log.next();
    assert.deepEqual([plugin, fields.hook], ["broken", "upgrade"]);
  });

  for (const hook of ["drain", "stop"] as const) {
    Deno.test(`a plugin that ${way} in its ${hook} hook does not prevent the others from stopping`, async () => {
      const stopped: string[] = [];
      const other = (name: string) => ({ name, stop: () => void stopped.push(name) });
      const server = await offline({}, other("first"), { name: "broken", [hook]: fails }, other("last"));
      await server.server.stop();
      assert.deepEqual(stopped, ["last", "first"]);
      const { plugin, fields } = await server.log.next();
      assert.deepEqual([plugin, fields.hook], ["broken", hook]);
    });
  }

  for (const handler of ["message", "ping", "close"] as const) {
    Deno.test(`a session that ${way} in ${handler} costs only its connection`, async () => {
      const endpoint: Endpoint = {
        name: "fragile",
        path: "/fragile",
        open: () => ({ message() {}, [handler]: fails }),
      };
      await using server = await offline({}, { name: "fragile", endpoints: [endpoint] });
      const { conn, transport } = await server.connect(endpoint);
      const other = await server.connect(endpoint);
      if (handler === "message") conn.receive("hello");
      else if (handler === "ping") conn.ping();
      else {
        conn.ended({ code: 1000, reason: "", by: "client" });
        transport.onClose();
      }
      const { plugin, fields } = await server.log.next();
      assert.deepEqual([plugin, fields.hook], ["fragile", handler]);
      if (handler === "message" || (handler === "ping" && way === "throws")) {
        await until("the close", () => transport.closed?.code === 3004);
      }
      assert.equal(other.conn.open, true);
    });
  }

  Deno.test(`an endpoint that ${way} in open costs only that connection`, async () => {
    let calls = 0;
    const endpoint = {
      name: "fragile",
      path: "/fragile",
      open: () => ++calls === 1 ? fails() : { message() {} },
    } as unknown as Endpoint;
    await using server = await offline({}, { name: "fragile", endpoints: [endpoint] });
    const { conn, transport } = await server.connect(endpoint);
    if (way === "rejects") conn.receive("for a session that is not valid");
    assert.equal(transport.closed?.code, 3004);
    const { plugin, fields } = await server.log.next();
    assert.equal(plugin, "fragile");
    assert.ok(fields.hook === "open" || fields.hook === "message");
    assert.equal((await server.connect(endpoint)).conn.open, true);
  });

  Deno.test(`a plugin that ${way} in a timer does not end the process`, async () => {
    const start: AnyPlugin["start"] = ({ clock }) => void clock.after(0, fails);
    await using server = await serve({}, { name: "broken", start });
    const { plugin, fields } = await server.log.next();
    assert.deepEqual([plugin, fields.hook], ["broken", "timer"]);
  });

  Deno.test(`a plugin that ${way} in its log hook does not keep the record from others`, async () => {
    await using server = await serve({}, { name: "deaf", log: fails }, {
      name: "talker",
      start: ({ log }) => log.warn("hear me"),
    });
    assert.equal((await server.log.next()).message, "hear me");
  });
}

Deno.test("a message is dropped if its check fails to run, and the next one is not", async () => {
  const handled: unknown[] = [];
  let calls = 0;
  const check: AnyPlugin = { name: "check", message: () => ++calls === 1 ? boom() : undefined };
  const endpoint: Endpoint = {
    name: "test",
    path: "/test",
    open: () => ({ message: (data) => void handled.push(data) }),
  };
  await using server = await offline({}, check);
  const { conn } = await server.connect(endpoint);
  conn.receive("unchecked");
  conn.receive("checked");
  assert.deepEqual(handled, ["checked"]);
});

Deno.test("a failed request handler answers 500 in JSON, and Hono's HTTPException its own status", async () => {
  const { HTTPException } = await import("@hono/hono/http-exception");
  await using server = await serve({}, {
    name: "routes",
    routes(app) {
      app.get("/boom", boom);
      app.get("/teapot", () => {
        throw new HTTPException(418, { message: "short and stout" });
      });
    },
  });
  const response = await server.fetch("/boom");
  assert.equal(response.status, 500);
  assert.equal((await response.json()).error.code, "internal");
  assert.equal((await server.log.next()).plugin, "http");
  const teapot = await server.fetch("/teapot");
  assert.deepEqual([teapot.status, await teapot.text()], [418, "short and stout"]);
});

Deno.test("an error that a client may see answers with its own status, and is not logged", async () => {
  const cases: [error: PlugboardError, status: number, header: string | null][] = [
    [new PlugboardError("bad_request", "The name is missing"), 400, null],
    [new PlugboardError("unauthorized", "Authentication required"), 401, "Bearer"],
    [new PlugboardError("permission_denied", "Permission denied"), 403, null],
    [new RateLimitError("Too many attempts", 1_500), 429, "2"],
    [Object.assign(new PlugboardError("sold_out", "Sold out"), { status: 410 }), 410, null],
  ];
  await using server = await serve(
    {},
    {
      name: "routes",
      routes(app) {
        app.get("/:case", (c) => {
          throw cases[Number(c.req.param("case"))]![0];
        });
      },
      upgrade() {
        throw cases[2]![0];
      },
    },
    echo(),
  );
  for (const [i, [{ code, message }, status, header]] of cases.entries()) {
    const response = await server.fetch(`/${i}`);
    assert.deepEqual([response.status, await response.json()], [status, { error: { code, message } }]);
    assert.equal(response.headers.get("www-authenticate") ?? response.headers.get("retry-after"), header);
  }
  await assert.rejects(server.connect("/echo"), /403/);
  assert.deepEqual(server.log.take(), []);
});

Deno.test("an error of the database or of another server answers 500 without its message, and is logged", async () => {
  const errors = ["constraint", "timeout", "unavailable"].map((code) => new PlugboardError(code, "a secret"));
  await using server = await serve({}, {
    name: "routes",
    routes(app) {
      app.get("/:case", (c) => {
        throw errors[Number(c.req.param("case"))]!;
      });
    },
  });
  for (const i of errors.keys()) {
    const response = await server.fetch(`/${i}`);
    const { error } = await response.json();
    assert.deepEqual([response.status, error], [500, {
      code: "internal",
      message: "Internal server error",
    }]);
    assert.equal((await server.log.next()).fields.error, errors[i]);
  }
});

Deno.test("a transport that fails costs only its connection", async () => {
  await using server = await offline({}, echo());
  const endpoint = echo().endpoints![0]!;
  const { conn, transport } = await server.connect(endpoint);
  const other = await server.connect(endpoint);
  transport.send = boom;
  transport.close = boom;
  conn.send("one");
  other.conn.send("two");
  await turn();
  assert.equal(conn.open, false);
  assert.deepEqual(other.transport.frames, ["two"]);
  assert.deepEqual(server.log.take().map(({ fields }) => fields.hook), ["send", "close"]);
  transport.onClose();
});

Deno.test("a clientIp that throws answers 500", async () => {
  await using server = await serve({ clientIp: boom }, echo());
  const response = await server.fetch("/echo");
  assert.equal(response.status, 500);
  await response.body?.cancel();
});

const failing: [HookName | "endpoint", AnyPlugin, RegExp][] = [
  ["start", { name: "broken", start: boom }, /^Cannot start broken: boom$/],
  ["start", { name: "broken", start: rejects }, /^Cannot start broken: boom$/],
  ["routes", { name: "broken", routes: boom }, /^Cannot start broken: boom$/],
];
for (const [hook, broken, sentence] of failing) {
  Deno.test(`a ${hook} that fails (${broken.start === rejects ? "async" : "sync"}) stops the started plugins in reverse`, async () => {
    const calls: string[] = [];
    const other = (name: string): AnyPlugin => ({
      name,
      start: () => void calls.push(`start ${name}`),
      stop: () => void calls.push(`stop ${name}`),
    });
    await assert.rejects(offline({}, other("a"), other("b"), broken, other("c")), (error: Error) => {
      assert.match(error.message, sentence);
      return true;
    });
    const after = hook === "start" ? [] : ["c"];
    const started = ["a", "b", ...after];
    assert.deepEqual(calls, [
      ...started.map((name) => `start ${name}`),
      ...started.reverse().map((name) => `stop ${name}`),
    ]);
  });
}

Deno.test("a plugin whose start failed is stopped too", async () => {
  let stopped = 0;
  const broken = { name: "broken", start: boom, stop: () => void stopped++ };
  await assert.rejects(offline({}, broken), /boom/);
  assert.equal(stopped, 1);
});

Deno.test("a failed start exits with 1 and one sentence", async () => {
  await using child = new Child(new URL("children/failing.ts", import.meta.url));
  const { code, stderr } = await child.end();
  assert.equal(code, 1);
  assert.equal(stderr, "Cannot start database: no room on the disk\n");
  assert.deepEqual(child.lines.take(), ["stop cache"]);
});

Deno.test("the process survives uncaught errors of a plugin", async () => {
  await using child = new Child(new URL("children/surviving.ts", import.meta.url));
  const url = await child.line();
  for (const path of ["/timer", "/promise"]) {
    const response = await within("an answer", fetch(url + path));
    assert.equal(await response.text(), "still here");
    assert.match(await child.line(), /^error process .* boom$/);
  }
});

Deno.test("two endpoints with one path refuse to start, and the sentence names both plugins", async () => {
  const endpoint = (path: string | readonly string[]) => ({
    name: "talk",
    path,
    open: () => ({ message() {} }),
  });
  const plugins = [
    { name: "one", endpoints: [endpoint(["/ws", "/talk"])] },
    { name: "other", endpoints: [endpoint("/talk")] },
  ];
  await assert.rejects(offline({}, ...plugins), {
    code: "start_failed",
    message: "Cannot start other: the plugin one has the path /talk already",
  });
});
