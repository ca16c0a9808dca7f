import type { Context } from "@hono/hono";
import { cors } from "@hono/hono/cors";
import {
  type App,
  type Clock,
  httpError,
  type MaybePromise,
  messageOf,
  refusal,
  refusalFor,
} from "../../../core/mod.ts";
import type { Access } from "../../auth/types.ts";
import { readText } from "../../shared/body.ts";
import { accountOf, isProven } from "../../shared/identity.ts";
import type { ChatHistory } from "./history.ts";
import type { ChatRoomManager } from "./rooms.ts";

/** What the routes need. */
export interface RouteParts {
  readonly base: string;
  readonly access: Pick<Access, "requireAuth" | "requestIdentity" | "allowsOrigin"> | undefined;
  readonly rooms: ChatRoomManager;
  readonly deleteRoom: (roomId: string) => Promise<boolean>;
  readonly history: ChatHistory | undefined;
  readonly mayCreate: (request: Request, ip: string) => MaybePromise<boolean>;
  readonly clock: () => Clock;
  readonly failed: (what: string, error: unknown) => void;
}

/** The chat's resource in permissions. */
export const RESOURCE = "chat";

const MAX_BODY_BYTES = 4_096;
const BODY_TIMEOUT_MS = 10_000;

const DEFAULT_PAGE = 50;
const MAX_PAGE = 500;

/** Adds the routes of the REST API: rooms and their messages. */
export function addRoutes(app: App, parts: RouteParts): void {
  const { base, access, rooms, deleteRoom, history, mayCreate, clock, failed } = parts;
  if (access !== undefined) guard(app, `${base}/rooms/*`, access);

  app.get(`${base}/rooms`, (c) => c.json(rooms.getAllRooms()));

  app.post(`${base}/rooms`, async (c) => {
    if (!await mayCreate(c.req.raw, c.env.ip)) {
      return refusal(403, "permission_denied", "You may not create rooms");
    }
    try {
      const limits = { maxBytes: MAX_BODY_BYTES, timeoutMs: BODY_TIMEOUT_MS, clock: clock() };
      const name = nameFrom(await readText(c.req.raw, limits));
      const errors = rooms.validateRoomName(name);
      if (errors.length > 0) return c.json({ errors }, 400);
      const identity = await access?.requestIdentity(c.req.raw, c.env.ip);
      const room = await rooms.createRoom(name as string, accountOf(identity, c.env.ip));
      return c.json(room, 201, { location: `${base}/rooms/${room.id}` });
    } catch (error) {
      if (httpError(error) !== undefined) return refusalFor(error);
      failed("cannot create a room", error);
      return refusal(500, "internal", "Internal server error");
    }
  });

  app.get(`${base}/rooms/:id`, (c) => {
    const room = rooms.getRoom(c.req.param("id"));
    return room === undefined ? roomNotFound() : c.json(room);
  });

  app.get(`${base}/rooms/:id/users`, (c) => {
    const id = c.req.param("id");
    if (rooms.getRoom(id) === undefined) return roomNotFound();
    return c.json(Array.from(rooms.getRoomClients(id), ({ username }) => username));
  });

  app.delete(`${base}/rooms/:id`, async (c) => {
    const id = c.req.param("id");
    if (rooms.getRoom(id) === undefined) return roomNotFound();
    try {
      const identity = await access?.requestIdentity(c.req.raw, c.env.ip);
      const may = identity?.can("admin", RESOURCE) === true ||
        isProven(identity) && rooms.isCreator(id, accountOf(identity, c.env.ip));
      if (may && await deleteRoom(id)) return c.body(null, 204);
      return refusal(403, "permission_denied", "You may not delete this room");
    } catch (error) {
      if (httpError(error) !== undefined) return refusalFor(error);
      failed("cannot delete a room", error);
      return refusal(500, "internal", "Internal server error");
    }
  });

  app.get(`${base}/rooms/:id/messages`, async (c) => {
    const id = c.req.param("id");
    if (rooms.getRoom(id) === undefined) return roomNotFound();
    if (history === undefined) return refusal(404, "not_available", "Messages are not stored");
    const limit = wholeNumber(c.req.query("limit") ?? String(DEFAULT_PAGE));
    const before = wholeNumber(c.req.query("before") ?? "0");
    if (limit === undefined || limit < 1 || before === undefined) {
      return refusal(400, "bad_request", "limit and before must be whole numbers above zero");
    }
    try {
      const page = await history.page(id, Math.min(limit, MAX_PAGE), before === 0 ? undefined : before);
      const body = `{"messages":[${page.messages.join(",")}],"before":${page.before ?? null}}`;
      return c.body(body, 200, { "content-type": "application/json" });
    } catch (error) {
      failed("cannot read the messages of a room", error);
      return refusal(503, "unavailable", messageOf(error));
    }
  });
}

/** Checks permissions, and allows the pages that may connect to read the responses. */
function guard(app: App, path: string, access: NonNullable<RouteParts["access"]>): void {
  const origin = (origin: string, { req }: Context) => access.allowsOrigin(req.raw.headers) ? origin : null;
  app.use(path, cors({ origin, allowMethods: ["GET", "POST", "DELETE"] }));
  const [mayRead, mayWrite] = [access.requireAuth("read", RESOURCE), access.requireAuth("write", RESOURCE)];
  app.use(path, (c, next) => (["POST", "DELETE"].includes(c.req.method) ? mayWrite : mayRead)(c, next));
}

function roomNotFound(): Response {
  return refusal(404, "room_not_found", "There is no such room");
}

function wholeNumber(text: string): number | undefined {
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** Returns the `name` of a JSON object; other bodies have none. */
function nameFrom(text: string): unknown {
  try {
    return JSON.parse(text)?.name;
  } catch {
    return undefined;
  }
}
