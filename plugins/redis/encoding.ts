/**
 * How publications are stored in Redis, and sent to the nodes.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { BrokerPublishOptions, Draft, Publication } from "../channels.ts";
import { Payload } from "../shared/payload.ts";

const LINE_BREAK = 10;

/**
 * Encodes a draft: a line of JSON with everything but the payload, which follows as it is. The line is mostly empty. Text
 * stays text: the client writes a command without bytes at once.
 */
export function encodeDraft({ payload, info, tags, except }: Draft): string | Buffer {
  const { content, isBinary } = payload;
  const plain = info === undefined && tags === undefined && except === undefined && !isBinary;
  const line = plain ? "" : JSON.stringify({ info, tags, except, binary: isBinary || undefined });
  if (typeof content === "string") return `${line}\n${content}`;
  return Buffer.concat([Buffer.from(`${line}\n`), content]);
}

/** Encodes how a publication is stored, for the script. What is rarely used follows the rest, a text of any kind at the end. */
export function encodeOptions({ keep, version, repeatable }: BrokerPublishOptions): string {
  const usual = `${keep?.size ?? ""} ${keep?.ageMs ?? ""}`;
  if (version === undefined && repeatable === undefined) return usual;
  return `${usual} ${version?.number ?? ""} ${repeatable?.ttlMs ?? ""} ${version?.epoch ?? ""}`;
}

/** Decodes a publication. */
export function decodePublication(bytes: Buffer, offset: number, time: number): Publication {
  const end = bytes.indexOf(LINE_BREAK);
  const payload = bytes.subarray(end + 1);
  if (end === 0) return { payload: Payload.fromValidJson(payload.toString()), offset, time };
  const { binary, ...rest } = JSON.parse(bytes.toString("utf8", 0, end));
  return {
    ...rest,
    // A copy: the bytes are a part of everything that was read at once.
    payload: binary ? Payload.fromBytes(new Uint8Array(payload)) : Payload.fromValidJson(payload.toString()),
    offset,
    time,
  };
}

/** Splits a message at its first line break: words, and the rest. */
export function splitMessage(message: Buffer): { words: string[]; rest: Buffer } {
  const end = message.indexOf(LINE_BREAK);
  return { words: message.toString("latin1", 0, end).split(" "), rest: message.subarray(end + 1) };
}
