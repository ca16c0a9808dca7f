/** Tests of invalid settings, `--help` and `--print-config`. */

import assert from "node:assert/strict";
import { root } from "../../kit/example.ts";
import { until } from "../../kit/mod.ts";
import { dataFolder, OPEN, runMain, startMain, stopsCleanly } from "./kit.ts";

/** Invalid settings, and the beginning of the error. */
const WRONG: [name: string, value: string, sentence: string][] = [
  ["PORT", "70000", 'PORT must be a whole number up to 65535, got "70000"'],
  [
    "HOST",
    "0.0.0.0",
    "Cannot start auth: the server listens on 0.0.0.0, beyond this machine, without sign-in",
  ],
  ["ADMIN_PORT", "-1", 'ADMIN_PORT must be a whole number up to 65535, got "-1"'],
  ["DURABLE", "live", 'Cannot start channels: "namespaces" must be without another "live"'],
  ["LOG_LEVEL", "loud", 'LOG_LEVEL must be one of debug, info, warn, error, got "loud"'],
  ["ALLOW_ANONYMOUS", "maybe", 'ALLOW_ANONYMOUS must be 1 or 0, got "maybe"'],
  ["DRAIN_MS", "soon", 'DRAIN_MS must be a whole number, got "soon"'],
  ["PLUGINS", "-jsno", "PLUGINS must be some of -centrifuge, -chat"],
  ["LIMITS", "maybe", 'LIMITS must be one of on, off, got "maybe"'],
  ["LIMIT_MESSAGES", "5/x", 'LIMIT_MESSAGES must be a text such as 600/1m, off, got "5/x"'],
  ["TLS_CERT", "cert.pem", 'Cannot start the server: TLS_KEY must be a non-empty string, got ""'],
  ["JWKS_URL", "foo", "Cannot start auth: JWKS_URL must be "],
  ["ALLOWED_ORIGINS", "example.com", "Cannot start auth: ALLOWED_ORIGINS must be "],
  [
    "WEBHOOK_URL",
    "http://127.0.0.1:1/",
    "Cannot start webhooks: WEBHOOK_SECRETS must be a list of whsec_ and",
  ],
  ["WEBHOOK_URL", "backend", "Cannot start webhooks: WEBHOOK_URL must be an http or https URL"],
  ["NODE_NAME", "web 1", "NODE_NAME must be"],
  [
    "TRUSTED_PROXIES",
    "foo",
    "Cannot start the server: TRUSTED_PROXIES must be addresses and networks such as 10.0.0.0/8",
  ],
  ["DRAIN_MS", "99999999999", "Cannot start the server: DRAIN_MS must be at most 24 days, got 99999999999"],
  ["API_KEYS", "ops:a-long-enough-key:reed:x", "API_KEYS must be name:key:permission+permission, with"],
  ["API_KEYS", "a-long-enough-key", "API_KEYS must be name:key:permission+permission, with"],
  ["API_KEYS", "ops:a-long-enough-key", "API_KEYS must be name:key:permission+permission, with"],
  ["LIMIT_CONNECTIONS_PER_IP", "0", 'LIMIT_CONNECTIONS_PER_IP must be a whole number from 1, got "0"'],
  ["LIMIT_CONNECTIONS_PER_IP", "off", 'LIMIT_CONNECTIONS_PER_IP must be a whole number from 1, got "off"'],
];

Deno.test("an invalid setting fails the start with one sentence", async () => {
  using data = dataFolder();
  await Promise.all(WRONG.map(async ([name, value, sentence]) => {
    const { code, stderr } = await runMain({
      DATA_DIR: `${data.path}/${name}`,
      LOG_LEVEL: "error",
      [name]: value,
    });
    assert.deepEqual([code, stderr.slice(0, sentence.length), stderr.split("\n").length], [1, sentence, 1]);
  }));
});

Deno.test("an error names a setting as it was typed", async () => {
  const errorOf = async (...flags: string[]) => (await runMain({}, flags)).stderr;
  const secret = "ops:a-long-enough-key";
  const sentences = await Promise.all([
    errorOf("--port", "abc"),
    errorOf(`--api-keys=${secret}`),
    errorOf("--tls-cert", "cert.pem", "--tls-key", ""),
    errorOf("--trusted-proxies=foo"),
    errorOf("--limit-messages", "5/x"),
  ]);
  assert.deepEqual(sentences.map((sentence) => sentence.replace(/ must be .*/, "")), [
    "--port",
    "--api-keys",
    "Cannot start the server: TLS_KEY",
    "Cannot start the server: --trusted-proxies",
    "--limit-messages",
  ]);
  assert.doesNotMatch(sentences.join(), /a-long-enough-key/);
});

Deno.test("a program that may not read the environment says so", async () => {
  const args = ["run", "--no-prompt", "--allow-net", "--allow-read", "--allow-write", "main.ts"];
  using data = dataFolder();
  await using main = await startMain({}, { args: [...args, "--port", "0", "--data-dir", data.path] });
  assert.match(main.warnings().join(), /reloading: The program may not read the environment/);
});

Deno.test("an unknown flag is reported with a suggestion", async () => {
  const errorOf = async (...flags: string[]) => {
    const { code, stdout, stderr } = await runMain({}, flags);
    assert.deepEqual([code, stdout], [1, ""]);
    return stderr;
  };
  assert.equal(await errorOf("--prot", "1"), "Unknown flag --prot; did you mean --port?");
  assert.equal(await errorOf("--port"), "--port needs a value");
  assert.equal(await errorOf("9000"), "Unknown command 9000; see --help");
});

Deno.test("--print-config shows flags before the environment, without secrets", async () => {
  const secrets = { JWT_SECRET: "geheim-1", API_KEYS: "ops:geheim-2:admin", HUB_API_KEY: "geheim-3" };
  const { code, stdout } = await runMain({ ...secrets, PORT: "1", DURABLE: "a, b" }, [
    "--print-config",
    "--port=2",
  ]);
  assert.equal(code, 0);
  assert.doesNotMatch(stdout, /geheim/);
  const lines = stdout.split("\n");
  for (
    const line of [
      "port = 2  (flag)",
      "durable = a,b  (environment)",
      "jwtSecret = (hidden)  (environment)",
      "apiKeys.ops.key = (hidden)  (environment)",
      "limits = on  (default)",
    ]
  ) {
    assert.ok(lines.includes(line), line);
  }
});

Deno.test("LIMIT_REQUESTS limits the requests of an address to all routes", async () => {
  using data = dataFolder();
  await using server = await startMain({ DATA_DIR: data.path, LIMIT_REQUESTS: "6/1h" });
  const get = async (path: string) => {
    const response = await fetch(server.url + path);
    await response.body?.cancel();
    return response;
  };
  for (const path of ["/", "/metrics", "/chat/rooms", "/hub/health", "/nothing"]) {
    assert.notEqual((await get(path)).status, 429, path);
  }
  assert.equal((await get("/health")).headers.get("ratelimit"), `"requests";r=0;t=3600`);
  for (const path of ["/", "/metrics", "/chat/rooms", "/hub/health", "/nothing", "/health"]) {
    const { status, headers } = await get(path);
    assert.deepEqual([path, status, headers.get("retry-after")], [path, 429, "600"]);
  }
  await stopsCleanly(server, [OPEN]);
});

Deno.test("B21 SIGHUP and the API reload the file, all or nothing", async () => {
  using data = dataFolder();
  await Deno.mkdir(new URL(data.path, root), { recursive: true });
  const file = new URL(`${data.path}/plugboard.json`, root);
  const write = (content: unknown) => Deno.writeTextFile(file, JSON.stringify(content));
  await write({ namespaces: { news: { publish: "anyone" } } });
  await using server = await startMain({ DATA_DIR: data.path, CONFIG: `${data.path}/plugboard.json` });
  const post = async (method: string, params: unknown = {}) => {
    const response = await fetch(`${server.url}/api/${method}`, {
      method: "POST",
      body: JSON.stringify(params),
    });
    return { status: response.status, body: await response.json() };
  };
  await write({
    namespaces: { news: { publish: "anyone" }, other: { historySize: 0 } },
    dataDir: "elsewhere",
  });
  const reloaded = { reloaded: ["namespaces"], restart: [] }; // DATA_DIR comes before the file
  assert.deepEqual((await post("reload")).body.result, reloaded);

  await write({ namespaces: { news: { publishh: "anyone" } } });
  const { status, body } = await post("reload");
  assert.deepEqual([status, body.error.message], [
    400,
    `Nothing was reloaded: ${data.path}/plugboard.json: namespaces.news.publishh is unknown; did you mean publish?`,
  ]);
  server.kill("SIGHUP");
  await until("the error", () => server.printed().split("the configuration was not reloaded").length === 3);
  await write({ namespaces: {} });
  server.kill("SIGHUP");
  await until("the reload", () => server.printed().split("the configuration was reloaded").length === 3);
  assert.equal(await server.stop(), 0);
});
