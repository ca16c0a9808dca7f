/**
 * The JSON encoding of one-way clients. They send one message, the parameters of a connect, and receive pushes without an
 * envelope.
 *
 * @module
 */

import type { Message } from "../../../core/mod.ts";
import type { Codec, Command } from "./codec.ts";
import { connectText, eventStream, jsonCodec, lineStream, textOf } from "./json_codec.ts";
import { malformed } from "./codes.ts";
import { readConnect } from "./commands.ts";

const format = Symbol("centrifuge-uni");
const BEFORE_PUSH = `{"push":`.length;

/** The JSON encoding of one-way clients. */
export const uniCodec: Codec = {
  ...jsonCodec,
  framing: { accepts: "any", format },
  httpStream: lineStream(format),
  sse: eventStream(format),
  chosenBy: () => false,

  *decode(frame): Generator<Command> {
    let value: unknown;
    try {
      value = JSON.parse(typeof frame === "string" ? frame : textOf(frame));
    } catch {
      throw malformed("connect");
    }
    yield { name: "connect", id: 1, ...readConnect(value) };
  },
  reply: (id, result) =>
    result.name === "connect" ? `{"connect":${connectText(result)}}` : jsonCodec.reply(id, result),
  publication: (...args) => bare(jsonCodec.publication(...args)),
  join: (...args) => bare(jsonCodec.join(...args)),
  leave: (...args) => bare(jsonCodec.leave(...args)),
  subscribed: (...args) => bare(jsonCodec.subscribed(...args)),
  unsubscribed: (...args) => bare(jsonCodec.unsubscribed(...args)),
  message: (...args) => bare(jsonCodec.message(...args)),
  refreshed: (...args) => bare(jsonCodec.refreshed(...args)),
  disconnect: (...args) => bare(jsonCodec.disconnect(...args)),
};

/** Takes a push out of its envelope. */
function bare(message: Message): string {
  return (message as string).slice(BEFORE_PUSH, -1);
}
