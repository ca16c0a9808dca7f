/**
 * Payloads: what a publication carries, validated and measured once.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { messageOf, PlugboardError } from "../../core/mod.ts";

const encoder = new TextEncoder();
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * A payload: one JSON value as text, or bytes.
 *
 * ```ts
 * import { Payload } from "@plugboard/server/channels";
 *
 * const payload = Payload.fromJson('{"price": 1.10}');
 * console.log(payload.text, payload.byteLength); // {"price": 1.10} 15
 * ```
 */
export class Payload {
  /** The payload as it travels: JSON text without line breaks, or bytes. */
  readonly content: string | Uint8Array;
  #text: string | undefined;
  /** For bytes, their JSON text, or `null` if they are no JSON. */
  #json: string | null | undefined;
  #bytes: Uint8Array | undefined;
  #byteLength: number | undefined;

  private constructor(content: string | Uint8Array) {
    this.content = content;
  }

  /**
   * Returns a payload as it is, takes bytes as bytes, and stringifies any other value; throws `bad_request` if JSON cannot
   * express it.
   */
  static of(value: unknown): Payload {
    if (value instanceof Payload) return value;
    if (value instanceof Uint8Array) return Payload.fromBytes(value);
    let json: string | undefined;
    try {
      json = JSON.stringify(value);
    } catch (error) {
      throw notJson(messageOf(error));
    }
    if (json === undefined) throw notJson("it is undefined");
    return new Payload(json);
  }

  /**
   * Takes JSON text as it is, numbers included; throws `bad_request` unless it is exactly one value. Removes line
   * breaks, which can only be between tokens: some protocols separate messages by them.
   */
  static fromJson(text: string): Payload {
    try {
      JSON.parse(text);
    } catch (error) {
      throw notJson(messageOf(error));
    }
    return Payload.fromValidJson(text);
  }

  /** The same for a text that is known to be one JSON value; it is not checked again. */
  static fromValidJson(text: string): Payload {
    return new Payload(withoutLineBreaks(text));
  }

  /** Takes bytes. They must not change afterwards. */
  static fromBytes(bytes: Uint8Array): Payload {
    return new Payload(bytes);
  }

  /** Returns the payload as JSON; throws `bad_request` if it is bytes that are no JSON text in UTF-8. */
  asJson(): Payload {
    const { json } = this;
    if (json === undefined) throw notJson("it is bytes");
    return this.isBinary ? new Payload(json) : this;
  }

  /** Whether it is bytes, which may be JSON text too. */
  get isBinary(): boolean {
    return typeof this.content !== "string";
  }

  /**
   * Returns the payload for keeping it. V8 takes a part of a text, or of bytes, without copying it, so that a small payload
   * would keep the whole message of its client in memory.
   */
  detached(): Payload {
    const { content } = this;
    if (typeof content !== "string") return new Payload(content.slice());
    // The longer text is a copy, and the part of it keeps only the copy.
    return new Payload(`${content} `.slice(0, -1));
  }

  /** The JSON text, without line breaks; `undefined` for bytes that are none. */
  get json(): string | undefined {
    const { content } = this;
    if (typeof content === "string") return content;
    if (this.#json === undefined) this.#json = jsonIn(content) ?? null;
    return this.#json ?? undefined;
  }

  /** The JSON text; for bytes, a JSON string with their base64. */
  get text(): string {
    const { content } = this;
    return typeof content === "string" ? content : this.#text ??= `"${content.toBase64()}"`;
  }

  /** The bytes; for JSON, its text in UTF-8. */
  get bytes(): Uint8Array {
    const { content } = this;
    return typeof content === "string" ? this.#bytes ??= encoder.encode(content) : content;
  }

  /** The number of bytes. */
  get byteLength(): number {
    const { content } = this;
    return this.#byteLength ??= typeof content === "string"
      ? this.#bytes?.byteLength ?? Buffer.byteLength(content)
      : content.byteLength;
  }

  /** Returns the value, which each call parses again; for bytes, a copy of them. */
  value(): unknown {
    const { content } = this;
    return typeof content === "string" ? JSON.parse(content) : content.slice();
  }
}

function withoutLineBreaks(text: string): string {
  return /[\r\n]/.test(text) ? text.replaceAll(/[\r\n]+/g, "") : text;
}

function jsonIn(bytes: Uint8Array): string | undefined {
  try {
    const text = utf8.decode(bytes);
    JSON.parse(text);
    return withoutLineBreaks(text);
  } catch {
    return undefined;
  }
}

function notJson(reason: string): PlugboardError {
  return new PlugboardError("bad_request", `The payload is not JSON: ${reason}`);
}
