import { SYSTEM } from "./messages.ts";

const MIN_ROOM_NAME = 3;
const MAX_ROOM_NAME = 50;
const MAX_USER_NAME = 32;

/**
 * Invisible characters and those that change the display of others: control characters, direction marks, spaces without
 * width, lone surrogates, line breaks.
 */
const INVISIBLE = /[\p{C}\p{Zl}\p{Zp}]/u;

/** More combining marks on one letter than any language uses. */
const STACKED = /\p{M}{5}/u;

/** Returns what is wrong with the name of a room. */
export function roomNameErrors(name: unknown): string[] {
  if (typeof name !== "string" || name.trim() === "") return ["Room name is required"];
  const length = lengthOf(name.trim());
  const errors = [];
  if (length < MIN_ROOM_NAME) errors.push(`Room name must be at least ${MIN_ROOM_NAME} characters`);
  if (length > MAX_ROOM_NAME) errors.push(`Room name must not exceed ${MAX_ROOM_NAME} characters`);
  if (hasInvisible(name)) errors.push("Room name must not contain invisible characters");
  return errors;
}

/** Returns what is wrong with the name of a user. */
export function userNameErrors(name: string): string[] {
  const errors = [];
  if (name.trim() === "") errors.push("Username is required");
  if (name !== name.trim()) errors.push("Username must not begin or end with a space");
  if (lengthOf(name) > MAX_USER_NAME) errors.push(`Username must not exceed ${MAX_USER_NAME} characters`);
  if (hasInvisible(name)) errors.push("Username must not contain invisible characters");
  if (sameName(name, SYSTEM)) errors.push(`Username must not be ${SYSTEM}`);
  return errors;
}

/** Whether two names look alike, so that they count as the same. */
export function sameName(a: string, b: string): boolean {
  return comparable(a) === comparable(b);
}

function comparable(name: string): string {
  return name.normalize("NFKC").trim().toLowerCase();
}

function hasInvisible(name: string): boolean {
  return INVISIBLE.test(name) || STACKED.test(name.normalize("NFD"));
}

/** Counts code points. Very long names are not counted exactly. */
function lengthOf(name: string): number {
  return name.length > 1_000 ? name.length : [...name].length;
}
