/**
 * Reads commands from decoded objects, whose fields have the same names in each encoding. An absent field and `null` stand for the zero value, and unknown fields are
 * ignored. A field of another type is an error that no SDK makes.
 *
 * @module
 */

import type { Position } from "../../channels.ts";
import { Payload } from "../../shared/payload.ts";
import type { Command, EmulationRequest, Params } from "./codec.ts";
import { malformed } from "./codes.ts";

/** An object from a client. */
type Fields = Readonly<Record<string, unknown>>;

const readers: {
  [Name in Exclude<keyof Params, "pong">]: (fields: Fields, data: () => Payload | undefined) => Params[Name];
} = {
  connect: (fields, data) => ({
    token: text(fields, "token"),
    data: data(),
    clientName: text(fields, "name"),
    clientVersion: text(fields, "version"),
    headers: object(fields, "headers") ?? {},
    subs: recoveries(fields),
  }),
  refresh: (fields) => ({ token: text(fields, "token") }),
  publish: (fields, data) => ({
    channel: text(fields, "channel"),
    type: integer(fields, "type"),
    data: data(),
  }),
  rpc: (fields, data) => ({ method: text(fields, "method"), data: data() }),
  send: (_, data) => ({ data: data() }),
  subscribe: (fields, data) => ({
    channel: text(fields, "channel"),
    token: text(fields, "token"),
    recover: recovery(fields),
    recoverable: flag(fields, "recoverable"),
    positioned: flag(fields, "positioned"),
    joinLeave: flag(fields, "join_leave"),
    type: integer(fields, "type"),
    flag: integer(fields, "flag"),
    delta: text(fields, "delta"),
    filter: object(fields, "tf"),
    data: data(),
  }),
  sub_refresh: (fields) => ({ channel: text(fields, "channel"), token: text(fields, "token") }),
  unsubscribe: channelIn,
  presence: channelIn,
  presence_stats: channelIn,
  history: (fields) => {
    const since = object(fields, "since");
    return {
      channel: text(fields, "channel"),
      limit: integer(fields, "limit"),
      since: since && position(since),
      reverse: flag(fields, "reverse"),
    };
  },
};

const NONE: ReadonlyMap<string, Position> = new Map();

const MAX_ID = 0xffff_ffff;

/** Reads the one command that an object holds. `payload` returns the payload of the command with a name, from its `data`. */
export function readCommand(value: unknown, payload: (name: string, data: unknown) => Payload): Command {
  const command = asObject(value);
  const id = integer(command, "id");
  if (id < 0 || id > MAX_ID) throw malformed("id");
  for (const name in command) {
    if (!isCommand(name)) continue;
    const fields = asObject(command[name]);
    const params = readers[name](fields, () => {
      return fields.data === undefined ? undefined : payload(name, fields.data);
    });
    return { ...params, name, id } as Command;
  }
  if (id === 0) return { name: "pong", id };
  throw malformed("command");
}

/** Reads the parameters of a connect without a command around them. */
export function readConnect(value: unknown): Params["connect"] {
  const fields = asObject(value);
  return readers.connect(fields, () => fields.data === undefined ? undefined : Payload.of(fields.data));
}

function isCommand(name: string): name is keyof typeof readers {
  return Object.hasOwn(readers, name);
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
  return fields[name] === undefined || fields[name] === null ? undefined : asObject(fields[name]);
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

function channelIn(fields: Fields): { channel: string } {
  return { channel: text(fields, "channel") };
}

function position(fields: Fields): Position {
  const offset = integer(fields, "offset");
  if (offset < 0) throw malformed("offset");
  return { offset, epoch: text(fields, "epoch") };
}

function recovery(fields: Fields): Position | undefined {
  return flag(fields, "recover") ? position(fields) : undefined;
}

function recoveries(connect: Fields): ReadonlyMap<string, Position> {
  const subs = object(connect, "subs");
  if (subs === undefined) return NONE;
  const all = new Map<string, Position>();
  for (const [channel, fields] of Object.entries(subs)) {
    const from = recovery(asObject(fields));
    if (from !== undefined) all.set(channel, from);
  }
  return all;
}
