/**
 * Pipe: messages `ToClientId|RequestId|MessageType|Body` between the clients of a path.
 *
 * ```ts
 * import { Server } from "@plugboard/server";
 * import { paths } from "@plugboard/server/paths";
 * import { MessagePayload, pipe } from "@plugboard/server/pipe";
 *
 * const server = new Server({ port: 0 });
 * const rooms = server.use(pipe({
 *   paths: server.use(paths()),
 *   createServerClient: (side) => ({
 *     message: (from, { requestId, body }) =>
 *       void side.send(from, MessagePayload.toServer(requestId, "response", body.toUpperCase())),
 *   }),
 * }));
 * rooms.broadcast("my-store", MessagePayload.broadcast("", "notice", "hello"));
 * ```
 *
 * An empty first field means all other clients of the path, `S` the server, anything else one client. In a message
 * that a client receives, the first field is the sender, so that the client can answer.
 *
 * A message that cannot be parsed or delivered is answered with `S|RequestId|error|{"code", "message"}`; the
 * connection stays open.
 *
 * A client that connects to `/ws/<path>?clientId=new` receives `S||welcome|{"clientId", "clientToken"}`. When it
 * reconnects with `?clientId=…&clientToken=…`, it keeps its id and receives the messages that were kept for it; an
 * older connection with the same id is closed. There are no acknowledgements: a kept message is on disk shortly after it
 * was sent, and a kill of the server before that loses it. Without these parameters, a client gets a new id each time and no
 * welcome.
 *
 * @module
 */

import {
  built,
  checkOptions,
  type Connection,
  type MaybePromise,
  type Plugin,
  refusal,
  type Session,
  type Upgrade,
} from "../../core/mod.ts";
import type { Delivery, Member, PathGrant, Paths, ServerClient, ServerSide } from "../paths.ts";
import { MessagePayload } from "./pipe/message_payload.ts";

export { MessagePayload, type Parsed } from "./pipe/message_payload.ts";
export { type PipeSettings, pipeSettings } from "./pipe/settings.ts";

/** Options of {@linkcode pipe}. */
export interface PipeOptions {
  /** The paths to serve; not shared with another protocol. */
  paths: Paths;
  /** URL path under which clients connect. @default {"/ws"} */
  path?: string;
  /** Maximum bytes of one message. @default {65536} */
  maxMessageBytes?: number;
  /** Creates the server client of a path, which handles messages to `S`. */
  createServerClient?: (side: PipeSide) => MaybePromise<PipeServerClient | undefined>;
}

/** The server's own client on a path. */
export interface PipeServerClient extends Pick<ServerClient, "start" | "flush" | "stop"> {
  /** Handles a message to the server or to all. The promise is not awaited; a rejection is logged. */
  message(from: string, payload: MessagePayload): MaybePromise<void>;
}

/** What a server client can do on its path. */
export interface PipeSide extends Pick<ServerSide, "path" | "clientIds"> {
  /** Sends to one client. */
  send(client: string, message: MessagePayload): Delivery;
  /** Sends to all clients but one. Returns the number of receivers. */
  broadcast(message: MessagePayload, except?: string): number;
}

/** Sends messages from the server. */
export interface Pipe {
  /** Sends to one client. Keeps the message if the client is away and may return. */
  sendToClient(path: string, client: string, message: MessagePayload): Delivery;
  /** Sends to all clients of a path. Returns the number of receivers. */
  broadcast(path: string, message: MessagePayload): number;
}

/** A client between the upgrade and the opening of its connection. */
interface AcceptedClient extends PathGrant {
  /** The id it has proven, or `undefined` for a new one. */
  readonly id: string | undefined;
  /** Whether it asked for a token. */
  readonly wantsToken: boolean;
}

/** Speaks the pipe format on {@linkcode Paths}. */
export function pipe(options: PipeOptions): Plugin<Pipe> {
  const { paths, path = "/ws", maxMessageBytes = 65_536, createServerClient } = options;
  const check = checkOptions("pipe");
  check.that(path.startsWith("/"), "path", "a path that begins with a slash", path);
  check.positiveInteger("maxMessageBytes", maxMessageBytes);
  const base = path.replace(/\/$/, "");
  const accepted = new WeakMap<Upgrade, AcceptedClient>();

  async function upgrade(request: Upgrade): Promise<Response | undefined> {
    const query = new URLSearchParams(/\?(.*)$/.exec(request.url)?.[1]);
    const client = query.get("clientId") ?? undefined;
    const path = paths.idOf(request, base);
    if (path instanceof Response) return path;
    if (path === "") return refusal(400, "bad_path", `The path is missing: connect to ${base}/<path>`);
    const granted = await paths.authorize(request, path, client);
    if (granted instanceof Response) return granted;
    const wantsToken = client === "new";
    const id = wantsToken ? undefined : client;
    if (id !== undefined && !paths.clientTokens.verify(granted.path, id, query.get("clientToken") ?? "")) {
      return refusal(401, "bad_client_token", "The token does not belong to this client id");
    }
    accepted.set(request, { ...granted, id, wantsToken });
  }

  function open(conn: Connection, request: Upgrade): Session {
    const { path, permission, id, wantsToken } = accepted.get(request)!;
    const resumable = wantsToken || id !== undefined;
    const member = paths.join(path, {
      conn,
      encoder,
      permission,
      resumable,
      ...(id !== undefined && { id }),
    });
    if ("code" in member) {
      conn.close(member);
      return { message() {} };
    }
    if (wantsToken) {
      const clientToken = paths.clientTokens.issue(path, member.id);
      member.deliver(`|welcome|${JSON.stringify({ clientId: member.id, clientToken })}`);
    }
    return { message: (data) => receive(member, data), close: () => member.leave() };
  }

  return built({
    name: "pipe",
    api: {
      sendToClient: (path, client, { content }) => paths.sendToClient(path, client, content),
      broadcast: (path, { content }) => paths.broadcast(path, content),
    },
    endpoints: [{ name: "pipe", path: [base || "/", `${base}/*`], maxMessageBytes, upgrade, open }],
    start() {
      paths.serve(async (side) => {
        const client = await createServerClient?.({
          path: side.path,
          clientIds: () => side.clientIds(),
          send: (client, { content }) => side.send(client, content),
          broadcast: ({ content }, except) => side.broadcast(content, except),
        });
        return client && {
          start: () => client.start?.(),
          flush: () => client.flush?.(),
          stop: () => client.stop?.(),
          message: (from, content) => client.message(from.id, MessagePayload.parse(`${from.id}|${content}`)),
        };
      });
    },
  }, options);
}

const encoder = { encode: (from: string, payload: string) => `${from}|${payload}` };

function receive(member: Member, data: string): void {
  const { payload, error } = MessagePayload.tryParse(data);
  if (payload === undefined) return sendError(member, "", error.code, error.message);
  const { clientId: to, requestId, content } = payload;
  if (member.permission === "read" && to !== "S") {
    return sendError(member, requestId, "read_only", "You may not send to others on this path");
  }
  const delivery = member.send(to, content);
  const problem = PROBLEMS[delivery];
  if (problem !== undefined) sendError(member, requestId, delivery, problem);
}

const PROBLEMS: Partial<Record<Delivery, string>> = {
  unknown_client: "There is no such client on this path",
  no_server: "The server does not handle messages on this path",
  server_failed: "The server could not open this path; it will retry",
  overflow: "The server is still opening this path, and too many messages are held for it",
  mailbox_full: "This client is away, and too many messages are kept for it",
};

function sendError(member: Member, requestId: string, code: string, message: string): void {
  member.deliver(`${requestId}|error|${JSON.stringify({ code, message })}`);
}
