/**
 * Reading what a client sent. Nothing about it is known: absent fields and `null` stand for the zero value, unknown
 * fields are passed over, and a field of another type is a mistake no SDK makes.
 *
 * @module
 */

import type { Position, SubscribeRequest } from "../../channels.ts";
import { Disconnection, disconnects } from "./codes.ts";

/** A JSON object that came in. */
export type Fields = Readonly<Record<string, unknown>>;

/** The error for what cannot be read. */
export function malformed(what: string): Disconnection {
  return new Disconnection(disconnects.badRequest, `The client sent a malformed ${what}`);
}

const MAX_ID = 0xffff_ffff;

/** One line of a frame, parsed. */
export function parseCommand(line: string): Fields {
  let command: unknown;
  try {
    command = JSON.parse(line);
  } catch {
    throw malformed("command");
  }
  return asFields(command);
}

/** The command's number; 0 for one that wants no answer. */
export function idOf({ id = 0 }: Fields): number {
  if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id > MAX_ID) throw malformed("id");
  return id;
}

/** A value that must be an object. */
export function asFields(value: unknown): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw malformed("object");
  return value as Fields;
}

/** A text; empty when absent. */
export function text(fields: Fields, name: string): string {
  const value = fields[name] ?? "";
  if (typeof value !== "string") throw malformed(name);
  return value;
}

/** A text that must not be empty. */
export function filled(fields: Fields, name: string): string {
  const value = text(fields, name);
  if (value === "") throw malformed(name);
  return value;
}

/** A whole number; 0 when absent. */
export function whole(fields: Fields, name: string): number {
  const value = fields[name] ?? 0;
  if (typeof value !== "number" || !Number.isSafeInteger(value)) throw malformed(name);
  return value;
}

/** Whether a field is set. */
export function yes(fields: Fields, name: string): boolean {
  const value = fields[name] ?? false;
  if (typeof value !== "boolean") throw malformed(name);
  return value;
}

/** An object within; nothing when absent. */
export function within(fields: Fields, name: string): Fields | undefined {
  const value = fields[name];
  return value === undefined || value === null ? undefined : asFields(value);
}

/** Texts by name; nothing when absent. */
export function texts(fields: Fields, name: string): Record<string, string> | undefined {
  const found = within(fields, name);
  return found && Object.fromEntries(Object.keys(found).map((key) => [key, text(found, key)]));
}

/** Where in a log the client stands. */
export function position(fields: Fields): Position {
  const offset = whole(fields, "offset");
  if (offset < 0) throw malformed("offset");
  return { offset, epoch: text(fields, "epoch") };
}

/** The wish to get what was missed, if there is one. */
export function recovery(fields: Fields): Pick<SubscribeRequest, "recover"> {
  return yes(fields, "recover") ? { recover: position(fields) } : {};
}
