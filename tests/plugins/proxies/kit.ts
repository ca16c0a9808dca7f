/** A backend that answers proxies, and servers that ask it. */

import type { ServerOptions } from "../../../core/mod.ts";
import { type Access, auth, type AuthOptions } from "../../../plugins/auth.ts";
import { type Channels, channels, type ChannelsOptions } from "../../../plugins/channels.ts";
import { paths } from "../../../plugins/paths.ts";
import { presence } from "../../../plugins/presence.ts";
import { centrifuge } from "../../../plugins/protocols/centrifuge.ts";
import { json } from "../../../plugins/protocols/json.ts";
import { pipe } from "../../../plugins/protocols/pipe.ts";
import { type Proxies, proxies, type ProxiesOptions } from "../../../plugins/proxies.ts";
import { type Rpc, rpc } from "../../../plugins/rpc.ts";
import { type Client, Inbox, serve, type TestServer } from "../../kit/mod.ts";

/** A request that the backend got. */
export interface Asked {
  readonly path: string;
  readonly headers: Headers;
  readonly text: string;
  // deno-lint-ignore no-explicit-any -- tests check its shape
  readonly body: any;
}

/** What the backend answers: an object as JSON, or a response of its own. */
export type Answer = object | Response | Promise<object | Response>;

/** A backend. */
export interface TestBackend extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** What it was asked. */
  readonly asked: Inbox<Asked>;
  /** The number of requests. */
  readonly count: number;
  answer: (asked: Asked) => Answer;
}

/** Starts a backend. */
export function backendServer(answer: TestBackend["answer"] = () => ({ result: {} }), port = 0): TestBackend {
  const asked = new Inbox<Asked>();
  let count = 0;
  const server = Deno.serve({ port, hostname: "127.0.0.1", onListen() {} }, async (request) => {
    const text = await request.text();
    const one = {
      path: new URL(request.url).pathname,
      headers: request.headers,
      text,
      body: JSON.parse(text),
    };
    count++;
    asked.put(one);
    const answered = await backend.answer(one);
    return answered instanceof Response ? answered : Response.json(answered);
  });
  const backend: TestBackend = {
    url: `http://127.0.0.1:${server.addr.port}`,
    port: server.addr.port,
    asked,
    get count() {
      return count;
    },
    answer,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
  return backend;
}

/** A server with proxies, and the protocols whose clients it asks about. */
export interface ProxyServer extends AsyncDisposable {
  readonly test: TestServer;
  readonly url: string;
  readonly bus: Channels;
  readonly access: Access;
  readonly methods: Rpc;
  readonly proxies: Proxies;
}

/** Starts a server with proxies. */
export async function proxyServer(
  options: ProxiesOptions,
  more: { auth?: AuthOptions; channels?: ChannelsOptions; server?: ServerOptions } = {},
): Promise<ProxyServer> {
  const backend = proxies(options);
  const access = auth({ backend: backend.api.signIn, ...more.auth });
  const bus = channels({ access: access.api, extensions: [backend.api.extension], ...more.channels });
  const people = presence({ channels: bus.api });
  const methods = rpc({ backend: backend.api.methods });
  const clients = { channels: bus.api, presence: people.api, rpc: methods.api, access: access.api };
  const tenants = paths({ allow: access.api.allowPath, identityOf: access.api.identityOf });
  const all = [backend, access, bus, people, methods, centrifuge(clients), json(clients), tenants];
  const test = await serve(more.server ?? {}, ...all, pipe({ paths: tenants.api, path: "/relay" }));
  return {
    test,
    url: test.url,
    bus: bus.api,
    access: access.api,
    methods: methods.api,
    proxies: backend.api,
    [Symbol.asyncDispose]: () => test[Symbol.asyncDispose](),
  };
}

/** A client of Centrifuge's protocol in JSON, which reads one message of a frame after the other. */
export interface Lines extends AsyncDisposable {
  readonly closed: Client["closed"];
  send(text: string): void;
  sendJson(message: unknown): void;
  nextText(): Promise<string>;
  // deno-lint-ignore no-explicit-any -- tests check its shape
  nextJson(): Promise<any>;
}

/** Connects such a client, and signs it in. */
export async function connected({ test }: ProxyServer): Promise<Lines> {
  const client = await test.connect("/connection/websocket");
  const lines: string[] = [];
  const self: Lines = {
    closed: client.closed,
    send: (text) => client.send(text),
    sendJson: (message) => client.sendJson(message),
    async nextText() {
      if (lines.length === 0) lines.push(...(await client.nextText()).split("\n"));
      const line = lines.shift()!;
      if (line !== "{}") return line;
      client.send("{}"); // A ping, and its answer.
      return await self.nextText();
    },
    nextJson: async () => JSON.parse(await self.nextText()),
    [Symbol.asyncDispose]: () => client.close(),
  };
  self.sendJson({ id: 1, connect: {} });
  await self.nextJson();
  return self;
}
