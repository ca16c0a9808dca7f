import assert from "node:assert/strict";
import { parseDuration, readSettings, setting, settingsHelp, showSettings } from "../../core/mod.ts";

const table = {
  PORT: setting.integer(8080, "Port to listen on", 65_535),
  HOST: setting.text("127.0.0.1", "Address to listen on"),
  LOG_LEVEL: setting.oneOf(["debug", "info"], "info", "How much to say"),
  JWT_SECRET: setting.secret("Signs tokens"),
  API_KEYS: setting.list("Keys of backends", true),
  ALLOW_ANONYMOUS: setting.flag("Allow anonymous clients"),
  PLUGINS: setting.without(["chat", "hub"], "What to leave out"),
  RATE: setting.of(readRate, "10/s", "How much"),
};

function readRate(text: string): string {
  if (!text.includes("/")) throw new Error("a rate such as 10/s");
  return text;
}

const read = (args: string[], env: Record<string, string> = {}) => readSettings(table, { args, env });

Deno.test("the environment overrides defaults, and flags override both", () => {
  assert.deepEqual(read([]), {
    PORT: 8080,
    HOST: "127.0.0.1",
    LOG_LEVEL: "info",
    JWT_SECRET: undefined,
    API_KEYS: [],
    ALLOW_ANONYMOUS: false,
    PLUGINS: new Set(["chat", "hub"]),
    RATE: "10/s",
  });
  assert.deepEqual(read(["--plugins=-chat"]).PLUGINS, new Set(["hub"]));
  assert.deepEqual(read(["--plugins", "-chat,-hub"]).PLUGINS, new Set());
  assert.equal(read([], { RATE: "5/m" }).RATE, "5/m");
  assert.equal(read([], { PORT: "9000" }).PORT, 9000);
  assert.equal(read(["--port", "9001"], { PORT: "9000" }).PORT, 9001);
  assert.equal(read(["--port=9002"]).PORT, 9002);
  assert.equal(read(["--allow-anonymous", "--host", "::"]).ALLOW_ANONYMOUS, true);
  assert.deepEqual(read([], { API_KEYS: " a, b ,," }).API_KEYS, ["a", "b"]);
  assert.equal(read([], { PORT: "" }).PORT, 8080);
  assert.equal(read(["--jwt-secret=a=b"]).JWT_SECRET, "a=b");
});

Deno.test("an invalid setting throws one sentence, without secrets", () => {
  const sentences: [string[], Record<string, string>, string][] = [
    [["--port", "high"], {}, '--port must be a whole number up to 65535, got "high"'],
    [["--port=65536"], {}, '--port must be a whole number up to 65535, got "65536"'],
    [["--plugins=-hbu"], {}, '--plugins must be some of -chat, -hub (did you mean -hub?), got "-hbu"'],
    [["--plugins=-foo"], {}, '--plugins must be some of -chat, -hub, got "-foo"'],
    [["--plugins=hub"], {}, '--plugins must be some of -chat, -hub (did you mean -hub?), got "hub"'],
    [[], { PORT: "high" }, 'PORT must be a whole number up to 65535, got "high"'],
    [[], { RATE: "much" }, 'RATE must be a rate such as 10/s, got "much"'],
    [[], { LOG_LEVEL: "loud" }, 'LOG_LEVEL must be one of debug, info, got "loud"'],
    [[], { ALLOW_ANONYMOUS: "maybe" }, 'ALLOW_ANONYMOUS must be 1 or 0, got "maybe"'],
    [["--prot", "1"], {}, "Unknown flag --prot; did you mean --port?"],
    [["--something-else"], {}, "Unknown flag --something-else; see --help"],
    [["--port"], {}, "--port needs a value"],
  ];
  for (const [args, env, message] of sentences) assert.throws(() => read(args, env), { message });
});

Deno.test("times and sizes have units, and fit timers and buffers", () => {
  const table = {
    TIMEOUT: setting.duration(60_000, "Timeout"),
    SIZE: setting.bytes(1_024, "Size"),
    MEMORY: setting.optionalBytes("Memory"),
    COUNT: setting.integer(1, "Count", 9, 1),
    ON: setting.flag("On", true),
  };
  const read = (env: Record<string, string>) => readSettings(table, { args: [], env });
  assert.deepEqual(read({}), { TIMEOUT: 60_000, SIZE: 1_024, MEMORY: undefined, COUNT: 1, ON: true });
  const given = { TIMEOUT: "1m30s", SIZE: "2mb", MEMORY: "6GB", COUNT: "9", ON: "No" };
  assert.deepEqual(read(given), {
    TIMEOUT: 90_000,
    SIZE: 2_097_152,
    MEMORY: 6_442_450_944,
    COUNT: 9,
    ON: false,
  });
  for (
    const [env, message] of [
      [{ TIMEOUT: "60" }, 'TIMEOUT must be a time such as 60s, got "60"'],
      [{ TIMEOUT: "597h" }, 'TIMEOUT must be a time such as 60s, got "597h"'],
      [{ SIZE: "2G" }, 'SIZE must be a size such as 512KB, got "2G"'],
      [{ SIZE: "2048MB" }, 'SIZE must be a size such as 512KB, got "2048MB"'],
      [{ MEMORY: "0MB" }, 'MEMORY must be a size such as 512MB, got "0MB"'],
      [{ MEMORY: "9999999999GB" }, 'MEMORY must be a size such as 512MB, got "9999999999GB"'],
      [{ COUNT: "0" }, 'COUNT must be a whole number from 1 up to 9, got "0"'],
    ] as const
  ) assert.throws(() => read(env), { code: "bad_setting", message });
  assert.deepEqual(["1.5s", "500ms", "597h", "", "1m 30s", "s"].map(parseDuration), [
    1_500,
    500,
    2_149_200_000,
    NaN,
    NaN,
    NaN,
  ]);
});

Deno.test("showSettings hides secrets", () => {
  const given = { JWT_SECRET: "hunter2", API_KEYS: "key1,key2", PLUGINS: "-hub" };
  const shown = showSettings(table, read([], given));
  assert.ok(!/hunter2|key1/.test(shown));
  assert.match(shown, /^PORT=8080$/m);
  assert.match(shown, /^JWT_SECRET=\(hidden\)$/m);
  assert.match(shown, /^PLUGINS=-hub$/m);
});

Deno.test("the help lists every setting with its flag and its default", () => {
  const help = settingsHelp(table);
  for (const name of Object.keys(table)) assert.match(help, new RegExp(`^${name} +--[a-z-]+ +\\S`, "m"));
  assert.match(help, /Port to listen on \[8080\]/);
});

Deno.test("a program reads its flags, its environment and .env, in that order, and no other variables", async () => {
  const { stdout } = await runProgram(["--a=flag"], { A: "environment", B: "environment", D: "unasked" });
  assert.deepEqual(JSON.parse(stdout), { A: "flag", B: "environment", C: "file" });
});

Deno.test("a program answers --help and --print-config, and ends at an invalid setting", async () => {
  const help = await runProgram(["--help"]);
  assert.equal(help.code, 0);
  assert.match(help.stdout, /^A +--a +The first$/m);
  assert.match(help.stdout, /^PRINT_CONFIG +--print-config/m);
  const config = await runProgram(["--print-config"], { A: "1" });
  assert.equal(config.stdout, "A=1\nB=file\nC=file\n");
  assert.equal((await runProgram(["--aa=1", "--help"])).stdout, help.stdout);
  const wrong = await runProgram(["--aa=1"]);
  assert.deepEqual(wrong, { code: 1, stdout: "", stderr: "Unknown flag --aa; did you mean --a?\n" });
});

async function runProgram(args: string[], env: Record<string, string> = {}) {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/.env`, "A=file\nB=file\nC=file\n");
    const program = new URL("children/settings.ts", import.meta.url).pathname;
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "--no-check", "--allow-env=A,B,C", "--allow-read=.env", program, ...args],
      cwd: folder,
      env: { ...env, NO_COLOR: "1" },
    }).output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { code, stdout: text(stdout), stderr: text(stderr) };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
