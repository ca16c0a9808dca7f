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
 * An empty first field means everyone else on the path, `S` the server, anything else one client. In what a
 * client receives, the first field is the sender, so that it can be answered.
 *
 * What else would fail silently is told: a message that cannot be parsed or delivered comes
 * back as `S|RequestId|error|{"code", "message"}`, and the connection stays.
 *
 * A client that connects to `/ws/<path>?clientId=new` is told who it is by `S||welcome|{"clientId", "clientToken"}`.
 * When it returns with `?clientId=…&clientToken=…` it is the same client again and gets what was kept for it; the
 * newer of two connections counts. A client that says nothing gets a fresh id each time, and no welcome.
 *
 * @module
 */

import {
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
  /** Paths of its own. */
  paths: Paths;
  /** Where it answers, at this path and below. @default {"/ws"} */
  path?: string;
  /** Bytes of one message. @default {65536} */
  maxMessageBytes?: number;
  /** Makes the server's own client of a path, which answers what is sent to `S`. */
  createServerClient?: (side: PipeSide) => MaybePromise<PipeServerClient | undefined>;
}

/** The server's own client on one path. */
export interface PipeServerClient extends Pick<ServerClient, "start" | "flush" | "stop"> {
  /** Handles a message to the server, or to all. A promise is not waited for; its rejection is logged. */
  message(from: string, payload: MessagePayload): MaybePromise<void>;
}

/** What the server's own client can do on its path. */
export interface PipeSide extends Pick<ServerSide, "path" | "clientIds"> {
  /** Sends to one client. */
  send(client: string, message: MessagePayload): Delivery;
  /** Sends to everybody but one; gives the number of receivers. */
  broadcast(message: MessagePayload, except?: string): number;
}

/** Sending from the server's side. */
export interface Pipe {
  /** Sends to one client, or keeps the message for it if it is away and will return. */
  sendToClient(path: string, client: string, message: MessagePayload): Delivery;
  /** Sends to everybody on a path; gives the number of receivers. */
  broadcast(path: string, message: MessagePayload): number;
}

/** What is known of a client between its request and its connection. */
interface Arrival extends PathGrant {
  /** The id that it proved, or `new` to be given one. */
  readonly client: string | undefined;
}

/** Speaks the pipe format on {@linkcode Paths}. */
export function pipe(options: PipeOptions): Plugin<Pipe> {
  const { paths, path = "/ws", maxMessageBytes = 65_536, createServerClient } = options;
  const check = checkOptions("pipe");
  check.that(path.startsWith("/"), "path", "a path that begins with a slash", path);
  check.positiveInteger("maxMessageBytes", maxMessageBytes);
  const base = path.replace(/\/$/, "");
  const arrivals = new WeakMap<Upgrade, Arrival>();

  async function upgrade(request: Upgrade): Promise<Response | undefined> {
    const query = new URLSearchParams(/\?(.*)$/.exec(request.url)?.[1]);
    const client = query.get("clientId") ?? undefined;
    const path = paths.idOf(request, base);
    if (path instanceof Response) return path;
    if (path === "") return refusal(400, "bad_path", `Which path? Connect to ${base}/<path>`);
    const granted = await paths.authorize(request, path, client);
    if (granted instanceof Response) return granted;
    if (client !== undefined && client !== "new") {
      const token = query.get("clientToken") ?? "";
      if (!paths.tickets.accepts(granted.path, client, token)) {
        return refusal(401, "bad_client_token", "This is not the token that was given to this client id");
      }
    }
    arrivals.set(request, { ...granted, client });
  }

  function open(conn: Connection, request: Upgrade): Session {
    const { path, right, client } = arrivals.get(request)!;
    const known = client === undefined || client === "new" ? undefined : client;
    const member = paths.join(path, {
      conn,
      wire,
      right,
      returns: client !== undefined,
      ...(known !== undefined && { id: known }),
    });
    if ("code" in member) {
      conn.close(member);
      return { message() {} };
    }
    if (client === "new") {
      const clientToken = paths.tickets.issue(path, member.id);
      member.tell(`|welcome|${JSON.stringify({ clientId: member.id, clientToken })}`);
    }
    return { message: (data) => receive(member, data), close: () => member.leave() };
  }

  return {
    name: "pipe",
    api: {
      sendToClient: (path, client, { content }) => paths.sendToClient(path, client, content),
      broadcast: (path, { content }) => paths.broadcast(path, content),
    },
    endpoints: [{ name: "pipe", path: [base || "/", `${base}/*`], maxMessageBytes, upgrade, open }],
    start() {
      paths.serve(async (side) => {
        const client = await createServerClient?.(pipeSide(side));
        return client && serverClient(client);
      });
    },
  };
}

const wire = { encode: (from: string, payload: string) => `${from}|${payload}` };

function receive(member: Member, data: string): void {
  const { payload, error } = MessagePayload.tryParse(data);
  if (payload === undefined) return complain(member, "", error.code, error.message);
  const { clientId: to, requestId, content } = payload;
  if (member.right === "read" && to !== "S") {
    return complain(member, requestId, "read_only", "You may not send to others on this path");
  }
  const delivery = member.send(to, content);
  const problem = PROBLEMS[delivery];
  if (problem !== undefined) complain(member, requestId, delivery, problem);
}

const PROBLEMS: Partial<Record<Delivery, string>> = {
  unknown_client: "There is no such client on this path",
  no_server: "The server itself takes no messages on this path",
  server_failed: "The server could not open this path; it tries again",
  overflow: "The server is still opening this path, and too many messages wait for it",
  mailbox_full: "This client is away, and too many messages wait for it",
};

function complain(member: Member, requestId: string, code: string, message: string): void {
  member.tell(`${requestId}|error|${JSON.stringify({ code, message })}`);
}

function pipeSide(side: ServerSide): PipeSide {
  return {
    path: side.path,
    clientIds: () => side.clientIds(),
    send: (client, { content }) => side.send(client, content),
    broadcast: ({ content }, except) => side.broadcast(content, except),
  };
}

function serverClient(client: PipeServerClient): ServerClient {
  return {
    start: () => client.start?.(),
    flush: () => client.flush?.(),
    stop: () => client.stop?.(),
    message: (from, content) => client.message(from.id, MessagePayload.parse(`${from.id}|${content}`)),
  };
}
