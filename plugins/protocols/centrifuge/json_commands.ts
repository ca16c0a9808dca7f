/**
 * Reads commands from JSON objects. An absent field and `null` stand for the zero value, and unknown fields are
 * ignored. A field of another type is an error that no SDK makes.
 *
 * @module
 */

import type { Position } from "../../channels.ts";
import type { Payload } from "../../shared/payload.ts";
import type { Command, EmulationRequest } from "./codec.ts";
import { malformed } from "./codes.ts";

/** A JSON object from a client. */
export type Fields = Readonly<Record<string, unknown>>;

/** Returns the payload of a command, which has that name; it is called only if there is one. */
export type PayloadReader = (command: string) => Payload;

type Read = (id: number, fields: Fields, data: () => Payload | undefined) => Command;

const readers: ReadonlyMap<string, Read> = new Map<string, Read>([
  [
    "connect",
    (id, fields) => ({ name: "connect", id, token: text(fields, "token"), subs: recoveries(fields) }),
  ],
  ["refresh", (id, fields) => ({ name: "refresh", id, token: text(fields, "token") })],
  ["publish", (id, fields, data) => ({
    name: "publish",
    id,
    channel: text(fields, "channel"),
    type: integer(fields, "type"),
    data: data(),
  })],
  ["rpc", (id, fields, data) => ({ name: "rpc", id, method: text(fields, "method"), data: data() })],
  ["send", (id, _, data) => ({ name: "send", id, data: data() })],
  ["subscribe", (id, fields) => ({
    name: "subscribe",
    id,
    channel: text(fields, "channel"),
    token: text(fields, "token"),
    recover: recovery(fields),
    recoverable: flag(fields, "recoverable"),
    positioned: flag(fields, "positioned"),
    joinLeave: flag(fields, "join_leave"),
    type: integer(fields, "type"),
    flag: integer(fields, "flag"),
    delta: text(fields, "delta"),
    filtered: object(fields, "tf") !== undefined,
  })],
  ["sub_refresh", (id, fields) => ({
    name: "sub_refresh",
    id,
    channel: text(fields, "channel"),
    token: text(fields, "token"),
  })],
  ["unsubscribe", (id, fields) => ({ name: "unsubscribe", id, channel: text(fields, "channel") })],
  ["presence", (id, fields) => ({ name: "presence", id, channel: text(fields, "channel") })],
  ["presence_stats", (id, fields) => ({ name: "presence_stats", id, channel: text(fields, "channel") })],
  ["history", (id, fields) => {
    const since = object(fields, "since");
    return {
      name: "history",
      id,
      channel: text(fields, "channel"),
      limit: integer(fields, "limit"),
      since: since && position(since),
      reverse: flag(fields, "reverse"),
    };
  }],
]);

const MAX_ID = 0xffff_ffff;

/** Reads the one command that an object holds. */
export function readCommand(value: unknown, payload: PayloadReader): Command {
  const command = asObject(value);
  const id = integer(command, "id");
  if (id < 0 || id > MAX_ID) throw malformed("id");
  for (const name in command) {
    const read = readers.get(name);
    if (read === undefined) continue;
    const fields = asObject(command[name]);
    return read(id, fields, () => fields.data === undefined ? undefined : payload(name));
  }
  if (id === 0) return { name: "pong", id };
  throw malformed("command");
}

/** Reads an emulation request, whose frame is text. */
export function readEmulation(value: unknown): EmulationRequest {
  const fields = asObject(value);
  return { session: text(fields, "session"), node: text(fields, "node"), frame: text(fields, "data") };
}

function asObject(value: unknown): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw malformed("object");
  return value as Fields;
}

function object(fields: Fields, name: string): Fields | undefined {
  const value = fields[name];
  return value === undefined || value === null ? undefined : asObject(value);
}

function text(fields: Fields, name: string): string {
  const value = fields[name] ?? "";
  if (typeof value !== "string") throw malformed(name);
  return value;
}

function integer(fields: Fields, name: string): number {
  const value = fields[name] ?? 0;
  if (typeof value !== "number" || !Number.isSafeInteger(value)) throw malformed(name);
  return value;
}

function flag(fields: Fields, name: string): boolean {
  const value = fields[name] ?? false;
  if (typeof value !== "boolean") throw malformed(name);
  return value;
}

function position(fields: Fields): Position {
  const offset = integer(fields, "offset");
  if (offset < 0) throw malformed("offset");
  return { offset, epoch: text(fields, "epoch") };
}

function recovery(fields: Fields): Position | undefined {
  return flag(fields, "recover") ? position(fields) : undefined;
}

function recoveries(connect: Fields): Map<string, Position> {
  const all = new Map<string, Position>();
  for (const [channel, fields] of Object.entries(object(connect, "subs") ?? {})) {
    const from = recovery(asObject(fields));
    if (from !== undefined) all.set(channel, from);
  }
  return all;
}
