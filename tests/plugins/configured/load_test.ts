/** Configuration files: what they mean, and what is said of wrong ones. */

import assert from "node:assert/strict";
import { load } from "../../../plugins/servers/configured/load.ts";

/** Loads the options from a file with this content. */
function loaded(
  file: unknown,
  { args = [], env = {}, dotEnv = {} }: {
    args?: string[];
    env?: Record<string, string>;
    dotEnv?: Record<string, string>;
  } = {},
) {
  return load({
    args,
    env: (name) => env[name],
    dotEnv: (name) => dotEnv[name],
    read: (path) =>
      path !== "plugboard.json" ? undefined : typeof file === "string" ? file : JSON.stringify(file),
  });
}

Deno.test("flags come before the environment, .env, the file and the defaults", () => {
  const file = {
    port: 1,
    host: "::1",
    dataDir: "here",
    drainMs: 5,
    limits: { messages: "1/s", calls: "2/s" },
  };
  const { settings, lines } = loaded(file, {
    args: ["--port", "4", "--limit-calls=off"],
    env: { PORT: "3", HOST: "::3", DURABLE: "a, b", JWT_SECRET: "geheim" },
    dotEnv: { PORT: "2", HOST: "::2", LOG_LEVEL: "warn" },
  });
  const { port, host, dataDir, drainMs, logLevel, durable, adminHost, limits } = settings;
  assert.deepEqual([port, host, dataDir, drainMs, logLevel], [4, "::3", "here", 5, "warn"]);
  assert.deepEqual([durable, adminHost], [["a", "b"], "127.0.0.1"]);
  assert.deepEqual(limits, { messages: "1/s", calls: "off" });
  const printed = lines();
  for (
    const line of [
      "port = 4  (flag)",
      "host = ::3  (environment)",
      "logLevel = warn  (.env)",
      "dataDir = here  (plugboard.json)",
      "adminHost = 127.0.0.1  (default)",
      "limits.messages = 1/s  (plugboard.json)",
      "limits.calls = off  (flag)",
      "jwtSecret = (hidden)  (environment)",
    ]
  ) assert.ok(printed.includes(line), `${line} in ${printed.join("\n")}`);
});

Deno.test("a file is JSON with comments, trailing commas and a byte order mark", () => {
  const { port, hubApiKey, namespaces } = loaded(`\uFEFF{
    // a comment
    "port": 0, /* another */ "hubApiKey": "a//b", "namespaces": { "a.b": { "historySize": 3, }, },
  }`).settings;
  assert.deepEqual([port, hubApiKey, namespaces], [0, "a//b", { "a.b": { historySize: 3 } }]);
});

Deno.test("texts refer to the environment, also for numbers and a yes or no", () => {
  const file = {
    jwksUrl: "https://${DOMAIN}/keys",
    port: "${P}",
    allowAnonymous: "${A}",
    pattern: undefined,
    hubApiKey: "$${P} and ${P}",
  };
  const { settings, lines } = loaded(file, { env: { DOMAIN: "example.com", A: "true" }, dotEnv: { P: "7" } });
  const { jwksUrl, port, allowAnonymous, hubApiKey } = settings;
  assert.deepEqual([jwksUrl, port, allowAnonymous, hubApiKey], [
    "https://example.com/keys",
    7,
    true,
    "${P} and 7",
  ]);
  assert.ok(lines().includes("jwksUrl = https://${DOMAIN}/keys  (plugboard.json)"));
  const overridden = loaded({ port: "${P}" }, { env: { P: "7", PORT: "8" } });
  assert.ok(overridden.lines().includes("port = 8  (environment)"));
});

/** Wrong files, and what is said of them. */
const WRONG: [file: unknown, ...sentences: string[]][] = [
  [{ prot: 1 }, "plugboard.json: prot is unknown; did you mean port?"],
  [{ port: "80a" }, 'plugboard.json: port must be a whole number up to 65535, got "80a"'],
  [{ drainMs: -1 }, "plugboard.json: drainMs must be a whole number, got -1"],
  [{ namespaces: { chat: { historySze: 5, delta: "fosil" } } }, ...[
    "plugboard.json: namespaces.chat.historySze is unknown; did you mean historySize?",
    'plugboard.json: namespaces.chat.delta must be one of off, fossil, got "fosil"; did you mean fossil?',
  ]],
  [{ namespaces: { "a b": { subscribe: ["anyon"] } } }, ...[
    'plugboard.json: namespaces."a b".subscribe.0 must be one of nobody, anyone, signed_in, subscriber, ' +
    'permission, got "anyon"; did you mean anyone?',
  ]],
  [{ plugins: { chat: "no" } }, 'plugboard.json: plugins.chat must be true or false, or an object, got "no"'],
  [{ plugins: { hub: { path: 5 } } }, "plugboard.json: plugins.hub.path must be a text, got 5"],
  [
    { limits: { calls: "5/x" } },
    'plugboard.json: limits.calls must be a text such as 600/1m, off, got "5/x"',
  ],
  [{ webhooks: { a: { url: "http://x/" } } }, "plugboard.json: webhooks.a.secrets is missing"],
  [{ jwtSecret: 4711 }, "plugboard.json: jwtSecret must be a text"],
  [{ jwksUrl: "${NOTHING}" }, "plugboard.json: jwksUrl: the environment has no NOTHING"],
  [{ jwksUrl: "${}" }, "plugboard.json: jwksUrl: a reference is written as ${NAME}"],
  [
    { apiKeys: { shop: { key: "a-key-in-the-file", permissions: ["admin"] } } },
    "plugboard.json: apiKeys.shop.key must come from the environment: write ${NAME}, or use hash",
  ],
  [
    { apiKeys: { shop: { permissions: ["admin"] } } },
    "plugboard.json: apiKeys.shop needs a key or a hash",
  ],
  [[], "plugboard.json must be an object"],
  [
    '{ "port": 1\n "jwtSecret": "geheim" }',
    "plugboard.json is not valid JSON, in line 2, column 2: Expected",
  ],
  ["", "plugboard.json is not valid JSON: Unexpected end of JSON input"],
];

Deno.test("a wrong file is refused with the path, what is wrong, and what was probably meant", () => {
  for (const [file, ...sentences] of WRONG) {
    assert.throws(() => loaded(file), { name: "PlugboardError", message: sentences.join("\n") });
  }
  assert.throws(() => loaded({}, { args: ["--config", "other.json"] }), {
    message: "There is no file other.json",
  });
});

Deno.test("secrets are neither printed nor quoted", () => {
  const secret = "whsec_geheim";
  const env = {
    S: secret,
    API_KEYS: `a:${secret}:admin`,
    REDIS_URL: `redis://u:${secret}@h/`,
    WEBHOOK_SECRETS: secret,
  };
  const file = {
    jwtSecret: secret,
    hubApiKey: "${S}",
    apiKeys: { shop: { key: "${S}", permissions: ["admin"] } },
    webhooks: { a: { url: `http://x/${secret}`, secrets: [secret], headers: { "x-key": secret } } },
    proxies: { connect: { url: "http://x/", staticHeaders: { key: secret } } },
    dataDir: "${S}",
  };
  assert.ok(!loaded(file, { env }).lines().join("\n").includes("geheim"));
  const wrong = [
    { jwtSecret: [secret] },
    { logLevel: "${S}" },
    { webhooks: { a: { url: 1, secrets: secret } } },
    `{ "jwtSecret": "${secret}" "port"`,
    `{ "jwtSecret": "${secret}`,
    `{ "jwtSecret": ${secret} }`,
  ];
  for (const each of wrong) {
    assert.throws(() => loaded(each, { env }), (error: Error) => !error.message.includes("geheim"));
  }
});

Deno.test("paths in a file are relative to it", () => {
  const { settings } = load({
    args: ["--config", "/etc/app/plugboard.json"],
    env: (name) => name === "TLS_KEY" ? "key.pem" : undefined,
    dotEnv: () => undefined,
    read: () => '{ "dataDir": "data", "tlsCert": "../cert.pem", "tlsKey": "no.pem" }',
  });
  assert.deepEqual([settings.dataDir, settings.tlsCert, settings.tlsKey], [
    "/etc/app/data",
    "/etc/cert.pem",
    "key.pem",
  ]);
});

Deno.test("pages cannot be in a folder with the file, the database or the private key", () => {
  for (
    const [file, inside] of [
      [{ pages: "." }, "plugboard.json"],
      [{ pages: "www", dataDir: "www/data" }, "www/data"],
      [{ pages: "www", tlsKey: "www/key.pem" }, "www/key.pem"],
    ] as const
  ) {
    assert.throws(() => loaded(file), {
      message: `pages: the folder ${file.pages} must not contain ${inside}, since all of it is served`,
    });
  }
  assert.equal(loaded({ pages: "www", dataDir: "www2", tlsKey: "..key.pem" }).settings.pages, "www");
});

Deno.test("names in .env that are almost a setting are reported, and others are not", () => {
  const warnings = (text: string, ...dotEnvNames: string[]) =>
    load({ args: [], env: () => undefined, dotEnv: () => "", dotEnvNames, read: () => text }).warnings;
  assert.deepEqual(warnings("{}", "JWT_SECRT", "PORTT", "LIMIT_SPEED"), [
    ".env: JWT_SECRT is not a setting; did you mean JWT_SECRET?",
    ".env: PORTT is not a setting; did you mean PORT?",
    ".env: LIMIT_SPEED is not a setting; see --help",
  ]);
  const unrelated = [
    "PORT",
    "CONFIG",
    "DATABASE_URL",
    "VITE_URL",
    "NODE_ENV",
    "HOME",
    "PATH",
    "PLUGBOARD_KEY",
  ];
  assert.deepEqual(warnings("{}", ...unrelated), []);
  assert.deepEqual(warnings('{ "hubApiKey": "${HUB_KEY}" }', "HUB_KEY"), []);
});
