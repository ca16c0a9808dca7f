import {
  configureSync,
  getConfig,
  getLogger,
  type LogRecord as LogTapeRecord,
  resetSync,
} from "@logtape/logtape";
import assert from "node:assert/strict";
import { stripVTControlCharacters } from "node:util";
import { logFor, type LogSink } from "../../core/contract/log.ts";
import type { Host, Log, Plugin } from "../../core/mod.ts";
import { prettyLines } from "../../plugins/logging/lines.ts";
import { logging, type LoggingOptions } from "../../plugins/logging.ts";
import { FakeClock, serve } from "../kit/mod.ts";

/** Returns a log and its lines. */
function logTo(options: LoggingOptions = {}): { log: Log; lines: string[]; plugin: Plugin } {
  const lines: string[] = [];
  const plugin = logging({ format: "json", write: (line) => void lines.push(line), ...options });
  return { log: logFor("greeter", plugin.log as LogSink), lines, plugin };
}

function logged(options: LoggingOptions, say: (log: Log) => void) {
  const { log, lines } = logTo(options);
  say(log);
  return lines.map((line) => JSON.parse(line));
}

/** Fields that must not be read. */
const unreadable: Record<string, unknown> = new Proxy({}, {
  ownKeys: () => assert.fail("the fields were read"),
  get: () => assert.fail("the fields were read"),
});

Deno.test("a line names time, level, plugin, message and fields", () => {
  const [line] = logged({}, (log) => log.warn("too slow", { queuedBytes: 7, channels: ["a", "b"] }));
  assert.match(line["@timestamp"], /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  delete line["@timestamp"];
  assert.deepEqual(line, {
    level: "WARN",
    message: "too slow",
    logger: "greeter",
    fields: { queuedBytes: 7, channels: ["a", "b"] },
  });
});

Deno.test("lines of the kernel and of plugins have the plugin's name", async () => {
  const { lines, plugin } = logTo({ level: "debug" });
  const talker: Plugin = {
    name: "talker",
    start: (host) => host.log.debug("started"),
    open() {
      throw new Error("cannot open");
    },
    endpoints: [{ name: "silent", path: "/silent", open: () => ({ message() {} }) }],
  };
  await using server = await serve({}, plugin, talker);
  await using _client = await server.connect("/silent");
  const { level, logger, message, fields } = JSON.parse(lines.at(-1)!);
  assert.deepEqual({ level, logger, message, hook: fields.hook }, {
    level: "ERROR",
    logger: "talker",
    message: "open failed",
    hook: "open",
  });
  assert.equal(fields.error.message, "cannot open");
  assert(lines.some((line) => JSON.parse(line).message === "started"));
});

Deno.test("lines below the level are not written, and their fields are not read", () => {
  for (const [level, expected] of [["debug", 4], ["info", 3], ["warn", 2], ["error", 1]] as const) {
    const lines = logged({ level }, (log) => {
      log.debug("…", level === "debug" ? {} : unreadable);
      log.info("…", level === "debug" || level === "info" ? {} : unreadable);
      log.warn("…", level === "error" ? unreadable : {});
      log.error("…");
    });
    assert.equal(lines.length, expected, level);
  }
});

Deno.test("secrets are redacted in the message and in the fields", () => {
  const [line] = logged({ secretNames: ["ticket"] }, (log) => {
    log.info("GET /ws?ticket=abc123 refused", { ticket: "abc123", headers: { cookie: "id=abc123" } });
  });
  assert.equal(line.message, "GET /ws?ticket=[redacted] refused");
  assert.deepEqual(line.fields, { ticket: "[redacted]", headers: { cookie: "[redacted]" } });
});

Deno.test("on a terminal, lines are aligned and errors have their stacks below", () => {
  const { log, lines } = logTo({ format: "pretty", level: "debug" });
  log.info("listening", { url: "http://127.0.0.1:8080" });
  const plain = stripVTControlCharacters(lines[0]!);
  assert.match(plain, /^\d\d:\d\d:\d\d\.\d{3} +INF greeter +listening url='http:\/\/127\.0\.0\.1:8080'$/);

  log.error("open failed", { hook: "open", error: new Error("no", { cause: new TypeError("not a room") }) });
  const [head, ...stack] = stripVTControlCharacters(lines[1]!).split("\n").map((line) => line.trim());
  assert.match(head!, /ERR greeter +open failed hook='open'$/);
  assert.equal(stack[0], "Error: no");
  assert.match(stack[1]!, /^at .*logging_test\.ts:\d+:\d+$/);
  assert(stack.includes("Caused by: TypeError: not a room"));
});

Deno.test("colours can be switched off", () => {
  const record: LogTapeRecord = {
    category: ["greeter"],
    level: "info",
    message: ["hello"],
    rawMessage: "hello",
    timestamp: 0,
    properties: { count: 1 },
  };
  assert(prettyLines(true)(record).includes("\x1b["));
  assert(!prettyLines(false)(record).includes("\x1b"));
});

Deno.test("logged text cannot forge lines or control the terminal", () => {
  const evil = "hello\n00:00:00.000  INF kernel  all is well\x1b[2J\x1b[31m";
  const { log, lines } = logTo({ format: "pretty" });
  log.info(evil, { [evil]: evil });
  log.info("failed", { error: new Error(evil) });
  const [first = "", second = ""] = lines.map(stripVTControlCharacters);
  assert.match(
    first,
    /hello\\n00:.* all is well\\x1b\[2J\\x1b\[31m hello\\n.*\\x1b\[31m='hello\\n.*\\x1b\[31m'$/,
  );
  assert(!first.includes("\n"));
  assert.match(second, /all is well\\x1b\[2J\\x1b\[31m/);
  assert(second.split("\n").slice(1).every((line) => line.startsWith(" ".repeat(20))), "a line was forged");

  const [json] = logged({}, (log) => log.info(evil));
  assert.equal(json.message, evil);
});

Deno.test("without a terminal, lines are JSON on the standard output", async () => {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      `import { logging } from "${import.meta.resolve("../../plugins/logging.ts")}";
       logging().log({ level: "warn", plugin: "greeter", message: "hello", fields: {} });`,
    ],
    cwd: new URL("../..", import.meta.url),
  }).output();
  const lines = new TextDecoder().decode(stdout).trimEnd().split("\n");
  assert.deepEqual(lines.map((line) => JSON.parse(line).message), ["hello"]);
});

Deno.test("only error and debug lines have stacks", () => {
  class Refused extends Error {
    override name = "Refused";
    code = "refused";
  }
  const error = new Refused("no entry", { cause: new AggregateError([new Error("full")], "all failed") });
  const lines = logged({ level: "debug" }, (log) => {
    for (const level of ["debug", "info", "warn", "error"] as const) log[level]("…", { error });
  });
  for (const { level, fields } of lines) {
    assert.equal(typeof fields.error.stack, level === "DEBUG" || level === "ERROR" ? "string" : "undefined");
    assert.equal(fields.error.name, "Refused");
    assert.equal(fields.error.message, "no entry");
    assert.equal(fields.error.code, "refused");
    assert.equal(fields.error.cause.errors[0].message, "full");
  }
});

Deno.test("repeated lines are counted instead of written", () => {
  const clock = new FakeClock();
  const { log, lines, plugin } = logTo({ level: "debug", maxRepeats: 3 });
  plugin.start!({ clock } as Partial<Host> as Host);
  const messages = () => lines.splice(0).map((line) => JSON.parse(line).message);

  for (let i = 0; i < 10; i++) log.error("message failed", { i });
  log.error("open failed");
  assert.deepEqual(messages(), ["message failed", "message failed", "message failed", "open failed"]);

  clock.advance(1_000);
  log.error("message failed");
  assert.deepEqual(messages(), ["message failed (left out 7 times)", "message failed"]);

  for (let i = 0; i < 10; i++) log.error("message failed");
  plugin.stop!();
  assert.deepEqual(messages(), ["message failed", "message failed", "message failed (left out 8 times)"]);

  for (let i = 0; i < 10; i++) log.debug("a ping");
  assert.equal(messages().length, 10, "debug lines are not limited");
});

Deno.test("with a LogTape logger, the application's configuration applies", () => {
  const records: LogTapeRecord[] = [];
  configureSync({
    sinks: { kept: (record) => void records.push(record) },
    loggers: [
      { category: "app", sinks: ["kept"], lowestLevel: "info" },
      { category: ["app", "realtime", "quiet"], lowestLevel: "error" },
      { category: ["logtape", "meta"], lowestLevel: "fatal" },
    ],
  });
  try {
    const { plugin, lines } = logTo({ logger: getLogger(["app", "realtime"]) });
    const [greeter, quiet] = ["greeter", "quiet"].map((name) => logFor(name, plugin.log as LogSink));
    greeter!.debug("below the application's level", unreadable);
    greeter!.warn("the {token} stays as it is", { token: "s3cret", room: "lobby" });
    quiet!.warn("below the level of this child");
    plugin.stop!();
    assert.deepEqual(
      records.map(({ category, level, message, properties }) => ({ category, level, message, properties })),
      [
        {
          category: ["app", "realtime", "greeter"],
          level: "warning",
          message: ["the {token} stays as it is"],
          properties: { token: "[redacted]", room: "lobby" },
        },
      ],
    );
    assert.deepEqual(lines, []);
  } finally {
    resetSync();
  }
});

Deno.test("LogTape's process-wide configuration is not changed", () => {
  const { log, plugin, lines } = logTo();
  log.info("hello");
  plugin.stop!();
  assert.equal(getConfig(), null);
  assert.equal(lines.length, 1);
});

Deno.test("invalid options are refused with one sentence", () => {
  const bad = (options: unknown) => () => logging(options as LoggingOptions);
  assert.throws(bad({ level: "loud" }), {
    message: 'Cannot start logging: "level" must be one of debug, info, warn, error, got "loud"',
  });
  assert.throws(bad({ format: "xml" }), {
    message: /"format" must be one of auto, pretty, json, got "xml"$/,
  });
  assert.throws(bad({ maxRepeats: 0 }), { message: /"maxRepeats" must be a positive integer, got 0$/ });
  assert.throws(bad({ secretNames: [""] }), {
    message: /"secretNames" must be a list of non-empty words, got /,
  });
});
