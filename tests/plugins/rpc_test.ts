import assert from "node:assert/strict";
import { type Connection, PlugboardError } from "../../core/mod.ts";
import { rpc, RpcError } from "../../plugins/rpc.ts";
import { anonymousIdentity } from "../../plugins/shared/identity.ts";
import { FakeClock, serve, until } from "../kit/mod.ts";
import { opened } from "./persistence/kit.ts";

const caller = { identity: { ...anonymousIdentity, user: "ann" } };
const refused = (code: string) => (error: PlugboardError) => error.code === code;

async function serveRpc() {
  const plugin = rpc({ timeoutMs: 1_000 });
  const clock = new FakeClock();
  const server = await serve({ clock }, plugin);
  return Object.assign(server, { methods: plugin.api, clock });
}

Deno.test("a method gets checked arguments and its caller, and the caller gets its result", async () => {
  await using server = await serveRpc();
  server.methods.define("add", {
    args(value) {
      const { a, b } = value as { a: number; b: number };
      if (typeof a !== "number" || typeof b !== "number") throw new TypeError("a and b must be numbers");
      return { a, b };
    },
    run: ({ a, b }, { identity }) => ({ sum: a + b, for: identity.user }),
  });
  assert.deepEqual(await server.methods.call("add", { a: 1, b: 2 }, caller), { sum: 3, for: "ann" });
  await assert.rejects(server.methods.call("add", { a: "1" }, caller), {
    code: "bad_request",
    message: "a and b must be numbers",
  });
});

Deno.test("an unknown method and a server without methods have different errors", async () => {
  await using server = await serveRpc();
  await assert.rejects(server.methods.call("add", {}, caller), refused("not_available"));
  const remove = server.methods.define("other", { run: () => 1 });
  await assert.rejects(server.methods.call("add", {}, caller), refused("method_not_found"));
  assert.throws(() => server.methods.define("other", { run: () => 2 }), refused("bad_option"));
  remove();
  assert.equal(server.methods.methods.size, 0);
});

Deno.test("only an RpcError reaches the caller; other errors are logged and hidden", async () => {
  await using server = await serveRpc();
  server.methods.define("mine", {
    run() {
      throw new RpcError(1001, "out of stock");
    },
  });
  server.methods.define("broken", { run: () => Promise.reject(new Error("database password is hunter2")) });
  await assert.rejects(server.methods.call("mine", {}, caller), { number: 1001, message: "out of stock" });
  await assert.rejects(server.methods.call("broken", {}, caller), {
    code: "internal",
    message: "Internal server error",
  });
  assert.match((await server.log.next()).message, /the method broken failed/);
  assert.throws(() => new RpcError(99, "x"), refused("bad_option"));
});

Deno.test("a method decides who may call it", async () => {
  await using server = await serveRpc();
  server.methods.define("admin", { allow: ({ identity }) => identity.user === "root", run: () => 1 });
  await assert.rejects(server.methods.call("admin", {}, caller), refused("permission_denied"));
  assert.equal(
    await server.methods.call("admin", {}, { identity: { ...anonymousIdentity, user: "root" } }),
    1,
  );
});

Deno.test("a method that hangs fails at the timeout", async () => {
  await using server = await serveRpc();
  server.methods.define("hang", { run: () => new Promise(() => {}) });
  const call = server.methods.call("hang", {}, caller);
  const failed = assert.rejects(call, refused("timeout"));
  await Promise.resolve();
  server.clock.advance(1_001);
  await failed;
});

Deno.test("the calls of a connection are counted, and refused beyond the limit", async () => {
  let left = 1;
  const plugin = rpc({
    limits: {
      spend() {
        if (left-- === 0) {
          throw new PlugboardError("too_many_requests", "Rate limit exceeded: too many calls");
        }
      },
    },
  });
  await using _server = await serve({}, plugin);
  plugin.api.define("one", { run: () => 1 });
  const conn = {} as Connection;
  assert.equal(await plugin.api.call("one", {}, { ...caller, conn }), 1);
  await assert.rejects(plugin.api.call("one", {}, { ...caller, conn }), refused("too_many_requests"));
  assert.equal(
    await plugin.api.call("one", {}, caller),
    1,
    "a call without a connection is counted elsewhere",
  );
});

Deno.test("a caller whose sign-in has expired is told so", async () => {
  const plugin = rpc();
  plugin.api.define("add", { run: () => 1 });
  const caller = (expiresAt: number) => ({ identity: { ...anonymousIdentity, expiresAt } });
  assert.equal(await plugin.api.call("add", {}, caller(Date.now() + 60_000)), 1);
  await assert.rejects(plugin.api.call("add", {}, caller(Date.now())), { code: "token_expired" });
});

Deno.test("B11 calls with the same idempotency key run once and get the same reply, one after the other or at once", async () => {
  for (const keep of ["in memory", "in a store"]) {
    const clock = new FakeClock();
    await using db = await opened({}, clock);
    const plugin = rpc({
      timeoutMs: 1_000,
      rememberMs: 60_000,
      ...(keep === "in a store" && { keep: db.store.keyValues("rpc") }),
    });
    await using _server = await serve({ clock }, plugin);
    let runs = 0;
    const started: PromiseWithResolvers<void>[] = [];
    plugin.api.define("order", {
      allow: (_, args) => args !== "denied",
      async run(args) {
        const gate = started[runs++] = Promise.withResolvers<void>();
        await gate.promise;
        if (args === "fails") throw new RpcError(1001, "failed");
        return args === "nothing" ? undefined : { order: runs };
      },
    });
    const call = (key: string, args: unknown = {}, user = "ann") =>
      plugin.api.call("order", args, { identity: { ...anonymousIdentity, user }, idempotencyKey: key });
    const settle = async (n: number) => {
      await until("the run", () => started[n] !== undefined);
      started[n]!.resolve();
    };

    const both = [call("k"), call("k")];
    await settle(0);
    assert.deepEqual(await Promise.all(both), [{ order: 1 }, { order: 1 }]);
    assert.deepEqual(await call("k", "other arguments"), { order: 1 });
    await assert.rejects(call("k", "denied"), refused("permission_denied"));
    const other = call("k", {}, "bob");
    await settle(1);
    assert.deepEqual(await other, { order: 2 }, "another user");

    const failing = call("f", "fails");
    await settle(2);
    await assert.rejects(failing, { number: 1001 });
    const retried = call("f");
    await settle(3);
    assert.deepEqual(await retried, { order: 4 });

    const late = call("t");
    await until("the run", () => started[4] !== undefined);
    clock.advance(1_000);
    await assert.rejects(late, refused("timeout"));
    const afterTimeout = call("t");
    await settle(4);
    assert.deepEqual(await afterTimeout, { order: 5 }, "the first run goes on");

    const nothing = call("n", "nothing");
    await settle(5);
    assert.deepEqual([await nothing, await call("n")], [undefined, undefined]);
    await assert.rejects(call(""), refused("bad_request"));

    clock.advance(60_000);
    const expired = call("k");
    await settle(6);
    assert.deepEqual(await expired, { order: 7 });
  }
});
