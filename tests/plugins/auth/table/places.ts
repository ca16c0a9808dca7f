import { files } from "../../../../plugins/dashboard/files.ts";
import assert from "node:assert/strict";
import type { Client, TestServer } from "../../../kit/mod.ts";
import { refusedUpgrade } from "../kit.ts";
import type { Credentials, Needs } from "./callers.ts";
import { connect, headers, type Operation, query, route } from "./operations.ts";

/** Clients of the hub must prove their user id, unless nobody has to. */
const PROVEN: Needs = ({ user }, mode) => mode === "open" || user === "alice";
const READS_CHAT: Needs = ["read", "chat:general"];
const WRITES_CHAT: Needs = ["write", "chat:general"];
const NEVER: Needs = () => false;

/** An endpoint that checks credentials before it accepts a connection. */
function socket(place: string, needs: Needs, path: string, protocols: string[] = []): Operation {
  return {
    place,
    name: "connect",
    needs,
    async run(server, credentials) {
      await using client = await connect(server, withQuery(path, credentials), protocols);
      return client !== undefined;
    },
  };
}

function withQuery(path: string, credentials: Credentials): string {
  const [name, more] = path.split("?");
  return name + query(credentials, Object.fromEntries(new URLSearchParams(more)));
}

/** Sends to all others of a path, and asks somebody who is there whether it has arrived. */
function relayed(
  place: string,
  path: string,
  message: string,
  { asks, answers }: { asks: string; answers: (text: string) => boolean },
): Operation {
  return {
    place,
    name: "send to others",
    needs: ["write", "path:a"],
    async run(server, credentials) {
      await using client = await connect(server, withQuery(path, credentials));
      if (client === undefined) return false;
      await using other = await connect(server, withQuery(path, await operator()));
      client.send(message);
      client.send(asks);
      while (!answers(await client.nextText()));
      other!.send(asks);
      for (;;) {
        const text = await other!.nextText();
        if (text.includes("the change")) return true;
        if (answers(text)) return false;
      }
    },
  };
}

/** Somebody who may do everything, in every mode. */
function operator(): Promise<Credentials> {
  return Promise.resolve({ apiKey: "o".repeat(20) });
}

/** An endpoint that takes no WebSocket at this path. */
function never(place: string): Operation {
  return {
    place,
    name: "connect",
    needs: NEVER,
    async run(server, credentials) {
      const { status } = await refusedUpgrade(server, withQuery(place.split(" ")[1]!, credentials));
      assert.ok(status < 500);
      return false;
    },
  };
}

/** Enters a room of the chat. A caller without a token has no name of its own. */
function enter(server: TestServer, credentials: Credentials): Promise<Client | undefined> {
  const name = credentials.token === undefined ? "guest-a" : "alice";
  return connect(server, withQuery(`/chat/ws/general/${name}`, credentials));
}

/** Says something in a room: somebody else receives it, or the sender gets an error. */
async function say(server: TestServer, credentials: Credentials): Promise<boolean> {
  await using client = await enter(server, credentials);
  if (client === undefined) return false;
  await using other = await connect(server, withQuery("/chat/ws/general/bob", await operator()));
  const received = async (by: Client, isIt: (message: { Type: string; Content: string }) => boolean) => {
    while (!isIt(await by.nextJson()));
  };
  // Both are members when they have got their welcome.
  await received(other!, ({ Type }) => Type === "system");
  await client.nextJson();
  client.send("the change");
  return await Promise.race([
    received(other!, ({ Content }) => Content === "the change").then(() => true),
    received(client, ({ Type }) => Type === "error").then(() => false, () => new Promise<never>(() => {})),
  ]);
}

/** The first command over a stream; of a client that only receives, its parameters alone. */
function stream(place: string): Operation {
  const [method, path] = place.split(" ") as [string, string];
  return {
    place,
    name: "connect",
    needs: "sign_in",
    async run(server, credentials) {
      const { token, ...rest } = credentials;
      const connect = token === undefined ? {} : { token };
      const command = JSON.stringify(path.includes("/uni_") ? connect : { id: 1, connect });
      const url = method === "GET" ? path + query(rest, { cf_connect: command }) : path + query(rest);
      const response = await server.fetch(url, {
        method,
        headers: headers(rest),
        ...(method === "POST" && { body: command }),
      });
      if (response.status === 401 || response.status === 403) {
        await response.body?.cancel();
        return false;
      }
      let text = "";
      const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
      while (!/"(?:connect|error|disconnect)":/.test(text)) {
        const { value, done } = await reader.read();
        if (done) break;
        text += value;
      }
      await reader.cancel();
      return text.includes('"connect":');
    },
  };
}

const TINYBASE_CHANGE = '\n["c",3,[[{}],[{"note":["the change"]}],1]]';
const TINYBASE_ASKS = { asks: 'S\n["q",1,""]', answers: (text: string) => text.startsWith('S\n["q",0,') };
const PIPE_ASKS = { asks: "S|q|chat|anybody?", answers: (text: string) => text.startsWith("S|q|error|") };
const READS_PATH: Needs = (caller, mode) =>
  mode === "open" || caller.can("read", "path:a") || caller.can("write", "path:a");

const HUB_BODY = JSON.stringify({ targetUserId: "alice", message: { type: "x", payload: 1 } });

/** Every operation but those of the protocols for channels. */
export const OTHER_OPERATIONS: readonly Operation[] = [
  stream("POST /connection/http_stream"),
  stream("POST /connection/sse"),
  stream("GET /connection/sse"),
  stream("POST /connection/uni_http_stream"),
  stream("POST /connection/uni_sse"),
  stream("GET /connection/uni_sse"),
  {
    place: "SOCKET /connection/uni_websocket",
    name: "connect",
    needs: "sign_in",
    async run(server, { token, ...rest }) {
      await using client = await connect(server, `/connection/uni_websocket${query(rest)}`);
      if (client === undefined) return false;
      client.sendJson(token === undefined ? {} : { token });
      return await Promise.race([client.nextJson().then(() => true), client.closed.then(() => false)])
        .catch(() => false);
    },
  },
  // The session's secret is the proof.
  route("POST /emulation", "nothing", { body: '{"session":"x","node":"y","data":"{}"}' }),

  socket("SOCKET /sync/*", READS_PATH, "/sync/a"),
  socket("SOCKET /sync", "sign_in", "/sync", ["tinybase"]),
  relayed("SOCKET /sync/*", "/sync/a", TINYBASE_CHANGE, TINYBASE_ASKS),

  never("SOCKET /relay"),
  socket("SOCKET /relay/*", READS_PATH, "/relay/a"),
  relayed("SOCKET /relay/*", "/relay/a", "|c|chat|the change", PIPE_ASKS),

  socket("SOCKET /hub/ws", PROVEN, "/hub/ws?userId=alice"),
  route("POST /hub/api/send", ["admin", "hub"], { body: HUB_BODY }),
  route("POST /hub/api/broadcast", ["admin", "hub"], { body: '{"type":"x","payload":1}' }),
  route("GET /hub/health", "nothing"),

  {
    place: "SOCKET /chat/ws/:roomId/:username",
    name: "enter",
    needs: READS_CHAT,
    async run(server, credentials) {
      await using client = await enter(server, credentials);
      return client !== undefined;
    },
  },
  route("GET /chat/rooms", ["read", "chat"]),
  route("POST /chat/rooms", ["write", "chat"], { body: '{"name":"a room"}' }),
  route("GET /chat/rooms/:id", ["read", "chat"], { path: "/chat/rooms/general" }),
  route("DELETE /chat/rooms/:id", NEVER, { path: "/chat/rooms/general" }), // it is always there
  route("GET /chat/rooms/:id/messages", ["read", "chat"], { path: "/chat/rooms/general/messages" }),
  route("GET /chat/rooms/:id/users", ["read", "chat"], { path: "/chat/rooms/general/users" }),
  { place: "SOCKET /chat/ws/:roomId/:username", name: "say something", needs: WRITES_CHAT, run: say },

  socket("SOCKET /echo", "sign_in", "/echo"),

  route("GET /metrics", ["admin", "metrics"]),
  route("GET /api/stats", ["admin", "metrics"]),
  route("GET /api/trace", ["admin", "trace"], { path: "/api/trace?channel=news" }),
  route("GET /api/trace/recording", ["admin", "trace"]),
  route("GET /health", "nothing"),
  route("GET /health/live", "nothing"),
  route("GET /health/ready", "nothing"),
  ...[
    "/",
    "/centrifuge.js",
    "/live_rows.js",
    "/plugboard.js",
    "/plugboard.d.ts",
    "/plugboard-react.js",
    "/plugboard-react.d.ts",
    "/home/channel.js",
    "/home/code.js",
    "/home/dom.js",
    "/home/icon.svg",
    "/home/ideas.js",
    "/home/main.js",
    "/home/style.css",
    ...files({ path: "/admin", apiPath: "/api", open: false }).map(([path]) => path),
  ].map((path) => route(`GET ${path}`, "nothing")),

  // Without a WebSocket, all endpoints answer the same.
  ...[
    "/connection/websocket",
    "/connection/uni_websocket",
    "/ws",
    "/sync",
    "/sync/*",
    "/relay",
    "/relay/*",
    "/hub/ws",
    "/chat/ws/:roomId/:username",
    "/echo",
  ].map((path) => route(`GET ${path}`, "nothing", { status: 426 })),
];
