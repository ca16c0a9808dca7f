import assert from "node:assert/strict";
import { readSettings, setting, settingsHelp, showSettings } from "../../core/mod.ts";

const table = {
  PORT: setting.integer(8080, "Port to listen on"),
  HOST: setting.text("127.0.0.1", "Address to listen on"),
  LOG_LEVEL: setting.oneOf(["debug", "info"], "info", "How much to say"),
  JWT_SECRET: setting.secret("Signs tokens"),
  API_KEYS: setting.list("Keys of backends", true),
  ALLOW_ANONYMOUS: setting.flag("Let everybody in"),
};

const read = (args: string[], env: Record<string, string> = {}) => readSettings(table, { args, env });

Deno.test("settings have defaults, the environment overrides them, and flags override both", () => {
  assert.deepEqual(read([]), {
    PORT: 8080,
    HOST: "127.0.0.1",
    LOG_LEVEL: "info",
    JWT_SECRET: undefined,
    API_KEYS: [],
    ALLOW_ANONYMOUS: false,
  });
  assert.equal(read([], { PORT: "9000" }).PORT, 9000);
  assert.equal(read(["--port", "9001"], { PORT: "9000" }).PORT, 9001);
  assert.equal(read(["--port=9002"]).PORT, 9002);
  assert.equal(read(["--allow-anonymous", "--host", "::"]).ALLOW_ANONYMOUS, true);
  assert.deepEqual(read([], { API_KEYS: " a, b ,," }).API_KEYS, ["a", "b"]);
  assert.equal(read([], { PORT: "" }).PORT, 8080);
  assert.equal(read(["--jwt-secret=a=b"]).JWT_SECRET, "a=b");
});

Deno.test("a wrong setting is told in a sentence, and a secret is not shown in it", () => {
  const sentences: [string[], Record<string, string>, string][] = [
    [["--port", "high"], {}, 'PORT must be a whole number, got "high"'],
    [[], { LOG_LEVEL: "loud" }, 'LOG_LEVEL must be one of debug, info, got "loud"'],
    [[], { ALLOW_ANONYMOUS: "maybe" }, 'ALLOW_ANONYMOUS must be 1 or 0, got "maybe"'],
    [["--prot", "1"], {}, "Unknown flag --prot; did you mean --port?"],
    [["--something-else"], {}, "Unknown flag --something-else; see --help"],
    [["--port"], {}, "--port needs a value"],
  ];
  for (const [args, env, message] of sentences) assert.throws(() => read(args, env), { message });
});

Deno.test("the settings in force can be shown without their secrets", () => {
  const shown = showSettings(table, read([], { JWT_SECRET: "hunter2", API_KEYS: "key1,key2" }));
  assert.ok(!/hunter2|key1/.test(shown));
  assert.match(shown, /^PORT=8080$/m);
  assert.match(shown, /^JWT_SECRET=\(hidden\)$/m);
});

Deno.test("the help names every setting, its flag and its default", () => {
  const help = settingsHelp(table);
  for (const name of Object.keys(table)) assert.match(help, new RegExp(`^${name} +--[a-z-]+ +\\S`, "m"));
  assert.match(help, /Port to listen on \[8080\]/);
});
