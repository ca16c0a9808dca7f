/**
 * Names that people see: what they may look like.
 *
 * @module
 */

import { SYSTEM } from "./messages.ts";

const MIN_ROOM_NAME = 3;
const MAX_ROOM_NAME = 50;
const MAX_USER_NAME = 32;

/**
 * What is not to be seen, or changes how others are: control characters, marks that turn the direction of text,
 * spaces without width, halves of characters, line breaks.
 */
const INVISIBLE = /[\p{C}\p{Zl}\p{Zp}]/u;

/** More marks on one letter than any language has. */
const STACKED = /\p{M}{5}/u;

/** What is wrong with a room's name; nothing if it is fit. */
export function roomNameErrors(name: unknown): string[] {
  if (typeof name !== "string" || name.trim() === "") return ["Room name is required"];
  const length = lengthOf(name.trim());
  const errors = [];
  if (length < MIN_ROOM_NAME) errors.push(`Room name must be at least ${MIN_ROOM_NAME} characters`);
  if (length > MAX_ROOM_NAME) errors.push(`Room name must not exceed ${MAX_ROOM_NAME} characters`);
  if (unfit(name)) errors.push("Room name must not contain invisible characters");
  return errors;
}

/** What is wrong with a user's name; nothing if it is fit. */
export function userNameErrors(name: string): string[] {
  const errors = [];
  if (name.trim() === "") errors.push("Username is required");
  if (name !== name.trim()) errors.push("Username must not begin or end with a space");
  if (lengthOf(name) > MAX_USER_NAME) errors.push(`Username must not exceed ${MAX_USER_NAME} characters`);
  if (unfit(name)) errors.push("Username must not contain invisible characters");
  if (sameName(name, SYSTEM)) errors.push(`Username must not be ${SYSTEM}`);
  return errors;
}

/** Whether two names look so alike that they count as one. */
export function sameName(a: string, b: string): boolean {
  return comparable(a) === comparable(b);
}

function comparable(name: string): string {
  return name.normalize("NFKC").trim().toLowerCase();
}

function unfit(name: string): boolean {
  return INVISIBLE.test(name) || STACKED.test(name.normalize("NFD"));
}

/** In characters, as people count them: near enough. What is far too long is not counted. */
function lengthOf(name: string): number {
  return name.length > 1_000 ? name.length : [...name].length;
}
