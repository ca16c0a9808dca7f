/** Tests `main.ts` in each of its modes, over every protocol of the README. */

import assert from "node:assert/strict";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { root } from "../../kit/example.ts";
import { transportNames } from "../../kit/centrifuge.ts";
import { Client } from "../../kit/mod.ts";
import { SECRET, token } from "../../plugins/auth/kit.ts";
import {
  byCentrifuge,
  byChat,
  byEcho,
  byHttp,
  byHub,
  byJson,
  byPipe,
  byTinyBase,
  refusedUpgrade,
  statusOf,
  type Visitor,
} from "./journeys.ts";
import { dataFolder, OPEN, runMain, startMain, stopsCleanly } from "./kit.ts";

const API_KEYS = "ops:key-of-the-operators:admin,news:key-of-the-newsroom:read:news+write:news";
const OPERATOR = { "x-api-key": "key-of-the-operators" };
const REQUIRED = "Authentication required for WebSocket connection";

/** The endpoints that accept clients first and then refuse them with an error message. */
const REFUSING_BY_MESSAGE = ["/connection/websocket", "/ws"];

/** The other endpoints. */
const ENDPOINTS = ["/sync/x", "/relay/x", "/hub/ws?userId=ada", "/chat/ws/general/ada", "/echo"];

/** Uses every protocol. */
async function everywhere(visitor: Visitor, operator: Record<string, string>, demo: boolean): Promise<void> {
  for (const transport of transportNames) await byCentrifuge(visitor, transport, demo);
  await byJson(visitor, demo);
  await byHub(visitor, operator);
  await byChat(visitor);
  await byPipe(visitor);
  await byTinyBase(visitor);
  await byEcho(visitor);
  await byHttp(visitor.url, operator);
}

/** Connects by the Centrifuge protocol. Resolves to the reply. */
async function connectOverCentrifuge(url: string, params: object = {}, query = "") {
  await using client = await Client.connect(`${url}/connection/websocket${query}`);
  client.sendJson({ id: 1, connect: params });
  return await client.nextJson();
}

/** Connects by the json protocol. Resolves to the close code and the error message. */
async function refusedByJson(url: string, query = "", headers: Record<string, string> = {}) {
  await using client = await Client.connect(`${url}/ws${query}`, [], headers);
  const { type, data } = await client.nextJson();
  assert.equal(type, "error");
  return [(await client.closed).code, data.message];
}

Deno.test("an open server serves local clients by every protocol, and refuses foreign origins", async () => {
  using data = dataFolder();
  await using server = await startMain({ DATA_DIR: data.path });
  await everywhere({ url: server.url, user: "ada" }, {}, true);
  for (const path of [...REFUSING_BY_MESSAGE, ...ENDPOINTS]) {
    assert.equal((await refusedUpgrade(server.url + path, { origin: "http://localhost:3000" })).status, 101);
    const foreign = await refusedUpgrade(server.url + path, { origin: "https://evil.com" });
    assert.deepEqual([path, foreign.status], [path, 403]);
    assert.match(foreign.message!, /^Pages of this origin may not connect; ALLOWED_ORIGINS lists/);
    const proxied = await refusedUpgrade(server.url + path, { "x-forwarded-for": "203.0.113.7" });
    assert.equal(proxied.status, REFUSING_BY_MESSAGE.includes(path) ? 101 : 401, path);
  }
  assert.deepEqual(await refusedByJson(server.url, "", { "x-forwarded-for": "203.0.113.7" }), [
    3500,
    REQUIRED,
  ]);
  const page = { headers: { origin: "https://evil.com" }, method: "POST", body: "{}" };
  for (const path of ["/hub/api/send", "/hub/api/broadcast", "/chat/rooms", "/connection/http_stream"]) {
    assert.equal(await statusOf(server.url + path, page), 403, path);
  }
  await stopsCleanly(server, [OPEN]);
});

Deno.test("a server with tokens serves only clients with a valid token, by every protocol", async () => {
  using data = dataFolder();
  const secrets = { JWT_SECRET: SECRET, API_KEYS, HUB_API_KEY: "key-of-the-backend" };
  const env = { ...secrets, DATA_DIR: data.path, LOG_LEVEL: "debug" };
  await using server = await startMain({
    ...env,
    HOST: "0.0.0.0",
    ALLOWED_ORIGINS: "https://app.example.com",
  });
  const { url } = server;
  const ada = await token({ sub: "ada" });
  await everywhere({ url, user: "ada", token: ada }, OPERATOR, false);
  await byHub({ url, user: "ada", token: ada }, { "x-api-key": "key-of-the-backend" });

  const expired = await token({ sub: "ada", exp: 1 });
  const other = await token({ sub: "ada" }, { secret: "the secret of another issuer, and long" });
  for (const path of ENDPOINTS) {
    const refused = async (proof: string) => {
      return await refusedUpgrade(`${url}${path}${path.includes("?") ? "&" : "?"}${proof}`);
    };
    assert.deepEqual([path, await refused("")], [path, { status: 401, message: REQUIRED }]);
    assert.deepEqual(await refused("token=x"), { status: 401, message: "Invalid token" });
    assert.deepEqual(await refused(`token=${other}`), { status: 401, message: "Invalid token" });
    assert.deepEqual(await refused(`token=${expired}`), { status: 401, message: "Token expired" });
    const from = async (origin: string) => (await refusedUpgrade(`${url}${path}`, { origin })).status;
    assert.deepEqual([await from("https://app.example.com"), await from("https://evil.com")], [401, 403]);
  }
  assert.equal((await connectOverCentrifuge(url)).error.code, 101);
  assert.equal((await connectOverCentrifuge(url, { token: expired })).error.code, 109);
  assert.deepEqual(await refusedByJson(url), [3500, REQUIRED]);
  assert.deepEqual(await refusedByJson(url, `?token=${expired}`), [3005, "Token expired"]);
  const bob = await token({ sub: "bob", permissions: ["read:news"] });
  const names: [string, string][] = [["/hub/ws?userId=ada&", "another user's"], [
    "/chat/ws/general/ada?",
    "name",
  ]];
  for (const [path, words] of names) {
    const { status, message } = await refusedUpgrade(`${url}${path}token=${bob}`);
    assert.equal(status, 403);
    assert.match(message!, new RegExp(`${words}|Permission denied`), path);
  }
  for (const path of ["/sync/x", "/relay/x", "/chat/ws/general/bob"]) {
    assert.equal((await refusedUpgrade(`${url}${path}?token=${bob}`)).status, 403, path);
  }
  for (const headers of [{}, { authorization: `Bearer ${ada}` }, { "x-api-key": "x" }]) {
    for (const path of ["/metrics", "/api/stats", "/api/trace?channel=x"]) {
      assert.equal(await statusOf(url + path, { headers }), 403, path);
    }
  }
  const post = { method: "POST", body: '{"type":"x","targetUserId":"ada","message":{"type":"x"}}' };
  for (const path of ["/hub/api/send", "/hub/api/broadcast", "/chat/rooms"]) {
    assert.equal(await statusOf(url + path, post), 401, path);
    const news = { ...post, headers: { "x-api-key": "key-of-the-newsroom" } };
    assert.equal(await statusOf(url + path, news), 403, path);
  }
  await stopsCleanly(server);
  for (
    const secret of [
      SECRET,
      "key-of-the-operators",
      "key-of-the-newsroom",
      "key-of-the-backend",
      ada,
      bob,
      expired,
    ]
  ) {
    assert.ok(!server.printed().includes(secret), secret);
  }
});

Deno.test("a server with JWKS_URL accepts the tokens of an identity provider", async () => {
  const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true });
  const keys = [{ ...await exportJWK(publicKey), kid: "k1", alg: "ES256", use: "sig" }];
  await using provider = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    () => Response.json({ keys }),
  );
  using data = dataFolder();
  const JWKS_URL = `http://127.0.0.1:${provider.addr.port}/jwks`;
  await using server = await startMain({ DATA_DIR: data.path, JWKS_URL, API_KEYS });
  const ada = await new SignJWT({ sub: "ada" }).setProtectedHeader({ alg: "ES256", kid: "k1" })
    .sign(privateKey);
  await everywhere({ url: server.url, user: "ada", token: ada }, OPERATOR, false);
  const refused = await refusedByJson(server.url, `?token=${await token({ sub: "ada" })}`);
  assert.deepEqual(refused, [3500, "Invalid token"]);
  await stopsCleanly(server);
});

Deno.test("a server with only API keys serves backends within their permissions", async () => {
  using data = dataFolder();
  await using server = await startMain({ DATA_DIR: data.path, API_KEYS });
  const { url } = server;
  await byHttp(url, OPERATOR);
  for (const path of ENDPOINTS) assert.equal((await refusedUpgrade(url + path)).status, 401, path);
  assert.equal((await connectOverCentrifuge(url)).error.code, 101);
  assert.ok((await connectOverCentrifuge(url, {}, "?api_key=key-of-the-newsroom")).connect.client);
  await using news = await Client.connect(`${url}/ws`, [], { "x-api-key": "key-of-the-newsroom" });
  await news.nextJson();
  for (const [channel, answer] of [["news", "published"], ["orders", "error"]]) {
    news.sendJson({ type: "publish", channel, data: 1 });
    assert.equal((await news.nextJson()).type, answer);
  }
  await stopsCleanly(server);
});

Deno.test("a server with ALLOW_ANONYMOUS lets clients without a token read", async () => {
  using data = dataFolder();
  const env = { DATA_DIR: data.path, JWT_SECRET: SECRET, ALLOW_ANONYMOUS: "1", HOST: "0.0.0.0", API_KEYS };
  await using server = await startMain(env);
  const { url } = server;
  await everywhere({ url, user: "ada", token: await token({ sub: "ada" }) }, OPERATOR, false);

  const { connect } = await connectOverCentrifuge(url);
  assert.ok(connect.client);
  await using reader = await Client.connect(`${url}/ws`);
  await reader.nextJson();
  reader.sendJson({ type: "subscribe", channel: "news" });
  assert.equal((await reader.nextJson()).type, "subscribed");
  reader.sendJson({ type: "publish", channel: "news", data: 1 });
  assert.equal((await reader.nextJson()).data.code, "PERMISSION_DENIED");
  await using listener = await Client.connect(`${url}/chat/ws/general/guest-1`);
  assert.match((await listener.nextJson()).Content, /^Welcome/);
  listener.send("hello");
  assert.equal((await listener.nextJson()).Content, "Your message was not sent: Permission denied");
  await using pipe = await Client.connect(`${url}/relay/x`);
  pipe.send("|1|note|hello");
  assert.match(await pipe.nextText(), /^S\|1\|error\|.*read_only/);
  const { status, message } = await refusedUpgrade(`${url}/hub/ws?userId=ada`);
  assert.deepEqual([status, message], [401, "A token must prove that you are this user"]);
  assert.equal(await statusOf(`${url}/metrics`), 403);
  await stopsCleanly(server);
});

Deno.test("a server whose clients are all anonymous is read-only", async () => {
  using data = dataFolder();
  await using server = await startMain({ DATA_DIR: data.path, ALLOW_ANONYMOUS: "1", HOST: "0.0.0.0" });
  assert.match(server.printed(), /clients cannot sign in: all of them are anonymous/);
  await using reader = await Client.connect(`${server.url}/ws`);
  await reader.nextJson();
  for (const [type, answer] of [["subscribe", "subscribed"], ["publish", "error"]]) {
    reader.sendJson({ type, channel: "news", data: {} });
    assert.equal((await reader.nextJson()).type, answer);
  }
  assert.equal(await statusOf(`${server.url}/metrics`), 403);
  await stopsCleanly(server);
});

Deno.test("behind a trusted proxy, each client has its own address", async () => {
  using data = dataFolder();
  const env = { DATA_DIR: data.path, JWT_SECRET: SECRET, LIMIT_CONNECTIONS_PER_IP: "1" };
  for (const [TRUSTED_PROXIES, second] of [["loopback", 101], ["", 429]] as const) {
    await using server = await startMain({ ...env, TRUSTED_PROXIES });
    const address = `${server.url}/echo?token=${await token({ sub: "ada" })}`;
    const from = (ip: string) => ({ "x-forwarded-for": ip });
    await using _first = await Client.connect(address, [], from("203.0.113.1"));
    assert.ok([429, 503].includes((await refusedUpgrade(address, from("203.0.113.1"))).status));
    const other = (await refusedUpgrade(address, from("203.0.113.2"))).status;
    assert.equal(other, second, TRUSTED_PROXIES);
    await stopsCleanly(server);
  }
});

Deno.test("LIMITS=off disables every limit", async () => {
  using data = dataFolder();
  const limits = { LIMIT_MESSAGES: "2/1m", LIMIT_CONNECTIONS_PER_IP: "1", LIMIT_CONNECTS_PER_IP: "2/1m" };
  for (const LIMITS of ["on", "off"]) {
    await using server = await startMain({ DATA_DIR: data.path, ...limits, LIMITS });
    await using one = await Client.connect(`${server.url}/echo`);
    assert.equal((await refusedUpgrade(`${server.url}/echo`)).status, LIMITS === "on" ? 429 : 101);
    for (let i = 0; i < 5; i++) one.send(`${i}`);
    for (let i = 0; i < (LIMITS === "on" ? 2 : 5); i++) assert.equal(await one.nextText(), `${i}`);
    await stopsCleanly(server, [OPEN]);
  }
});

Deno.test("each plugin can be disabled without affecting the others", async () => {
  const owned: Record<string, string[]> = {
    centrifuge: ["/connection/websocket", "/connection/sse", "/connection/http_stream", "/emulation"],
    json: ["/ws"],
    tinybase: ["/sync/x"],
    pipe: ["/relay/x"],
    hub: ["/hub/ws", "/hub/health"],
    chat: ["/chat/ws/general/ada", "/chat/rooms"],
    echo: ["/echo"],
    home: ["/", "/centrifuge.js"],
  };
  await Promise.all(
    Object.keys(owned).map(async (without) => {
      using data = dataFolder();
      await using server = await startMain({ DATA_DIR: data.path, PLUGINS: `-${without}` });
      for (const [name, paths] of Object.entries(owned)) {
        for (const path of paths) {
          // The page needs the centrifuge protocol.
          const disabled = name === without || (name === "home" && without === "centrifuge");
          assert.equal(await statusOf(server.url + path) === 404, disabled, `${path} without ${without}`);
        }
      }
      assert.equal(await statusOf(`${server.url}/health`), 200);
      await stopsCleanly(server, [OPEN]);
    }),
  );
});

Deno.test("settings are read from .env in the working folder, after the environment", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const lines = [
      `JWT_SECRET="${SECRET}" # the issuer's`,
      "LOG_LEVEL=error",
      "DATA_DIR=own data",
      "DRAIN_MS=1000",
    ];
    await Deno.writeTextFile(`${folder}/.env`, lines.join("\n"));
    // Without /proc it does not warn of the machine's limit of open files.
    const flags = ["--quiet", "--allow-all", "--deny-read=/proc", "--no-check"];
    const args = ["run", ...flags, new URL("main.ts", root).pathname];
    await using server = await startMain({ LOG_LEVEL: "info" }, { args, cwd: folder });
    assert.deepEqual(await refusedByJson(server.url), [3500, REQUIRED]);
    await byJson({ url: server.url, user: "ada", token: await token({ sub: "ada" }) }, false);
    assert.ok((await Deno.stat(`${folder}/own data/plugboard.db`)).isFile);
    await stopsCleanly(server);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("with a certificate, all endpoints use TLS", async () => {
  using data = dataFolder();
  const folder = new URL(data.path, root).pathname;
  await Deno.mkdir(folder, { recursive: true });
  const [TLS_CERT, TLS_KEY] = [`${data.path}/cert.pem`, `${data.path}/key.pem`];
  const names = [
    "-subj",
    "/CN=localhost",
    "-addext",
    "subjectAltName=IP:127.0.0.1",
    "-addext",
    "basicConstraints=critical,CA:FALSE",
  ];
  const { success } = await new Deno.Command("openssl", {
    args: ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"]
      .concat(names, ["-keyout", "key.pem", "-out", "cert.pem"]),
    cwd: folder,
    stderr: "null",
  }).output();
  assert.ok(success);
  await using server = await startMain({ DATA_DIR: data.path, TLS_CERT, TLS_KEY });
  assert.match(server.url, /^https:/);
  using client = Deno.createHttpClient({ caCerts: [await Deno.readTextFile(`${folder}/cert.pem`)] });
  const response = await fetch(`${server.url}/health`, { client });
  assert.equal((await response.json()).status, "healthy");
  for (const path of ENDPOINTS) {
    await using _ = await Client.connect(server.url + path, [], {}, client);
  }
  await stopsCleanly(server, [OPEN]);
  const { code, stderr } = await runMain({ DATA_DIR: data.path, TLS_CERT, TLS_KEY: "data/nothing" });
  assert.equal(code, 1);
  assert.match(stderr, /^Cannot start the server: "tls.keyFile" cannot be read[^\n]*$/);
});
