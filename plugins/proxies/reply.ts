/**
 * Answers of a backend, in Centrifugo's format: a result, an error, or a disconnect.
 *
 * @module
 */

import { type CloseCode, closeCode, messageOf } from "../../core/mod.ts";
import { BackendError } from "../shared/backend_error.ts";
import { memberText } from "../shared/json_text.ts";
import { Payload } from "../shared/payload.ts";
import { isRecord } from "../shared/records.ts";
import type { StatusAnswer } from "./types.ts";

/** The answer is not in the format. */
export class BadReply extends Error {}

/** Makes the error for an answer that is not in the format. */
export const bad = (reason: string): BadReply => new BadReply(reason);

/** The result in an answer. */
export class Reply {
  /** The members of the result. */
  readonly members: Readonly<Record<string, unknown>>;
  readonly #text: string;

  constructor(text: string, members: Readonly<Record<string, unknown>>) {
    this.#text = text;
    this.members = members;
  }

  /** Returns a payload as the backend wrote it, numbers included: JSON in `name`, or bytes in `b64name`. */
  payload(name: string): Payload | undefined {
    const base64 = this.text(`b64${name}`);
    if (base64 === undefined) {
      const json = this.members[name] === undefined ? undefined : memberText(this.#text, "result", name);
      return json === undefined ? undefined : Payload.fromValidJson(json);
    }
    try {
      return Payload.fromBytes(Uint8Array.fromBase64(base64));
    } catch {
      throw bad(`b64${name} is not base64`);
    }
  }

  /** Returns a payload as JSON text. */
  json(name: string): string | undefined {
    const payload = this.payload(name);
    if (payload !== undefined && payload.json === undefined) throw bad(`b64${name} is not JSON`);
    return payload?.json;
  }

  text(name: string): string | undefined {
    const value = this.members[name];
    if (value === undefined || value === null) return undefined;
    if (typeof value !== "string") throw bad(`${name} must be a string`);
    return value;
  }

  flag(name: string): boolean {
    return this.members[name] === true;
  }

  texts(name: string): readonly string[] | undefined {
    const value = this.members[name];
    if (value === undefined || value === null) return undefined;
    if (!Array.isArray(value) || !value.every((each) => typeof each === "string")) {
      throw bad(`${name} must be a list of strings`);
    }
    return value;
  }

  /** Returns a time in milliseconds; the backend gives seconds, and 0 for none. */
  time(name: string): number | undefined {
    const value = this.members[name] ?? 0;
    if (typeof value !== "number" || !Number.isFinite(value) || value < 0) {
      throw bad(`${name} must be a time`);
    }
    return value === 0 ? undefined : value * 1000;
  }
}

/** Reads an answer: returns the result, `undefined` if there is none, or throws a {@linkcode BackendError}. */
export function readReply(text: string): Reply | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw bad(`it is not JSON: ${messageOf(error)}`);
  }
  if (!isRecord(value)) throw bad("it is not an object");
  const { result, error, disconnect } = value;
  if (isRecord(disconnect)) throw refusalOf({ disconnect: disconnect as unknown as CloseCode });
  if (isRecord(error)) throw refusalOf({ error: error as { code: number; message: string } });
  if (result === undefined || result === null) return undefined;
  if (!isRecord(result)) throw bad("result must be an object");
  return new Reply(text, result);
}

/** Returns the error that a client gets. Throws if its number or its reason cannot be sent. */
export function refusalOf(answer: StatusAnswer): BackendError {
  if ("disconnect" in answer) {
    const { code, reason } = answer.disconnect;
    if (!(code >= 3000)) throw bad("disconnect.code must be between 3000 and 4999");
    let disconnect: CloseCode;
    try {
      disconnect = closeCode(code, reason ?? "");
    } catch (error) {
      throw bad(`the disconnect is invalid: ${messageOf(error)}`);
    }
    return new BackendError({ number: 103, message: "The backend has disconnected the client", disconnect });
  }
  const { code, message = "", temporary } = answer.error;
  if (!Number.isInteger(code) || code < 1 || code > 1999) throw bad("error.code must be between 1 and 1999");
  if (typeof message !== "string") throw bad("error.message must be a string");
  return new BackendError({ number: code, message, temporary: temporary === true });
}
