import { PlugboardError } from "../../../core/mod.ts";

/** The result of parsing: a message or an error. */
export type Parsed =
  | { readonly payload: MessagePayload; readonly error?: undefined }
  | { readonly payload?: undefined; readonly error: PlugboardError };

/**
 * A message of the pipe format, `ToClientId|RequestId|MessageType|Body`. Only the body may contain a `|`.
 *
 * ```ts
 * import assert from "node:assert/strict";
 * import { MessagePayload } from "@plugboard/server/pipe";
 *
 * const payload = MessagePayload.toClient("client123", "req123", "response", "a|b");
 * assert.equal(payload.serialize(), "client123|req123|response|a|b");
 * assert.equal(MessagePayload.parse("S|req2|query|getData").messageType, "query");
 * ```
 */
export class MessagePayload {
  /** Recipient: empty for all others, `S` for the server, else a client's id. In a received message, the sender. */
  readonly clientId: string;
  /** Matches a response to its request. */
  readonly requestId: string;
  /** The type of the message; defined by the app. */
  readonly messageType: string;
  /** The content; may contain any characters. */
  readonly body: string;

  private constructor(clientId: string, requestId: string, messageType: string, body: string) {
    for (const field of [clientId, requestId, messageType]) {
      if (field.includes("|")) {
        throw new PlugboardError("bad_payload", `Only a body may contain "|", got ${JSON.stringify(field)}`);
      }
    }
    this.clientId = clientId;
    this.requestId = requestId;
    this.messageType = messageType;
    this.body = body;
  }

  /** Creates a message to all other clients of the path. */
  static broadcast(requestId: string, messageType: string, body: string): MessagePayload {
    return new MessagePayload("", requestId, messageType, body);
  }

  /** Creates a message to the server. */
  static toServer(requestId: string, messageType: string, body: string): MessagePayload {
    return new MessagePayload("S", requestId, messageType, body);
  }

  /** Creates a message to one client. */
  static toClient(clientId: string, requestId: string, messageType: string, body: string): MessagePayload {
    return new MessagePayload(clientId, requestId, messageType, body);
  }

  /** Parses a message; throws an error with the code `bad_payload`. */
  static parse(text: string): MessagePayload {
    const parsed = MessagePayload.tryParse(text);
    if (parsed.error !== undefined) throw parsed.error;
    return parsed.payload;
  }

  /** Parses a message; returns the error instead of throwing it. */
  static tryParse(text: string): Parsed {
    const first = text.indexOf("|");
    const second = first < 0 ? -1 : text.indexOf("|", first + 1);
    const third = second < 0 ? -1 : text.indexOf("|", second + 1);
    if (third < 0) {
      const rule = "A message must have four fields, ToClientId|RequestId|MessageType|Body";
      return { error: new PlugboardError("bad_payload", `${rule}, got ${text.split("|").length}`) };
    }
    const payload = new MessagePayload(
      text.slice(0, first),
      text.slice(first + 1, second),
      text.slice(second + 1, third),
      text.slice(third + 1),
    );
    return { payload };
  }

  /** Returns the message in the pipe format. */
  serialize(): string {
    return `${this.clientId}|${this.content}`;
  }

  /** The message without its first field. */
  get content(): string {
    return `${this.requestId}|${this.messageType}|${this.body}`;
  }
}
