import assert from "node:assert/strict";
import { PlugboardError } from "../../../core/mod.ts";
import { mutations } from "../../../plugins/mutations.ts";
import { persistence } from "../../../plugins/persistence.ts";
import { apiError } from "../../../plugins/http_api/errors.ts";
import { errorNumber } from "../../../plugins/shared/error_numbers.ts";
import { BackendError } from "../../../plugins/shared/backend_error.ts";
import { centrifugeServer, sdkClient } from "../../kit/centrifuge.ts";

Deno.test("B23 a client's own mistakes reach SDK users as permanent errors, and not the log", async () => {
  const database = persistence({ path: ":memory:" });
  const store = database.api;
  await using server = await centrifugeServer({ plugins: [database] });
  await store.exec(`
    CREATE TABLE people (name TEXT PRIMARY KEY, age INTEGER CHECK (age > 0)) STRICT;
    INSERT INTO people VALUES ('ada', 36), ('bob', 20);
  `);
  mutations({ store, rpc: server.methods }).api.define("add", {
    args: (value) => value as { name: string; age: number },
    run: (tx, { name, age }) => void tx.run("INSERT INTO people VALUES (?, ?)", [name, age]),
  });
  const define = (name: string, run: (args: unknown) => unknown) => server.methods.define(name, { run });
  define("sql", (sql) => store.run(String(sql)));
  define("query", (sql) => void store.inspect(String(sql)));
  define("find", (sql) => store.all(String(sql), [], { maxRows: 1 }));
  define("refused", () => {
    throw new BackendError({ number: 1234, message: "The backend refuses" });
  });
  await using client = sdkClient(server.url);
  client.sdk.connect();
  await client.sdk.ready();

  for (
    const [method, args, code, message] of [
      ["add", { name: "ada", age: 5 }, 113, /^UNIQUE constraint failed: people.name$/],
      ["add", { name: "cat", age: -5 }, 113, /^CHECK constraint failed: age > 0$/],
      ["add", { name: "cat", age: {} }, 107, /cannot be bound/],
      ["sql", "SELEC 1", 107, /syntax error/],
      ["query", "DELETE FROM people", 107, /\w/],
      ["find", "SELECT * FROM people", 106, /^The query gives more than 1 rows$/],
      ["missing", {}, 104, /^Method not found: "missing"$/],
      ["refused", {}, 1234, /^The backend refuses$/],
    ] as const
  ) {
    await assert.rejects(client.sdk.rpc(method, args), { code, message, temporary: false }, method);
  }
  assert.deepEqual(server.test.log.take(), []);
});

Deno.test("the HTTP API adds the reason to Centrifugo's texts, and has other numbers where a backend cannot sign in again", () => {
  const of = (code: string) => apiError(new PlugboardError(code, "why"));
  assert.deepEqual(of("constraint"), { code: 113, message: "conflict: why" });
  assert.deepEqual(of("too_many_rows"), { code: 106, message: "limit exceeded: why" });
  assert.deepEqual(of("token_expired"), { code: 103, message: "permission denied: why" });
  assert.deepEqual(of("unauthorized"), { code: 103, message: "permission denied: why" });
  assert.equal(of("unavailable"), undefined, "a failure of the server");
  assert.equal(of("disk_full"), undefined, "a failure of the server");
  assert.equal(of("constructor"), undefined);
  assert.deepEqual(apiError(new BackendError({ number: 1234, message: "No" })), {
    code: 1234,
    message: "No",
  });
});

/** Codes of failures and of mistakes in programs, which no client's request should cause. */
const OF_THE_SERVER = [
  "async_write bad_api_key bad_backup bad_content bad_message bad_option bad_setting bad_tls closed content_refused corrupt",
  "database_locked deaf disk_error file_moved file_overwritten in_transaction in_use listen_failed lock_lost",
  "bad_migration migration_failed newer_schema no_sign_in no_store not_listening not_ready not_started path_failed refused",
  "start_failed started transaction_lost transaction_over unknown_listener unused_plugin worker_failed",
].join(" ").split(" ");

Deno.test("every error code has a number, or is known as a failure of the server", async () => {
  const codes = new Set<string>();
  for await (const source of sources(new URL("../../../", import.meta.url), ["core", "plugins"])) {
    for (const [, code] of source.matchAll(/new PlugboardError\(\s*"(\w+)"/g)) codes.add(code!);
  }
  assert.ok(codes.size > 50);
  const unknown = [...codes].filter((code) => errorNumber(new PlugboardError(code, "")) === undefined);
  assert.deepEqual(unknown.filter((code) => !OF_THE_SERVER.includes(code)), []);
});

async function* sources(folder: URL, names: readonly string[]): AsyncIterable<string> {
  for (const name of names) {
    const path = new URL(name, folder);
    if (name.endsWith(".ts")) yield Deno.readTextFile(path);
    else if (Deno.statSync(path).isDirectory) {
      yield* sources(new URL(`${name}/`, folder), [...Deno.readDirSync(path)].map((entry) => entry.name));
    }
  }
}
