/**
 * Asks the backend about what a client does: builds the request, and acts on refusals.
 *
 * @module
 */

import type { Connection } from "../../core/mod.ts";
import { BackendError } from "../shared/backend_error.ts";
import { Payload } from "../shared/payload.ts";
import { type Backend, Unavailable } from "./backend.ts";
import { type ClientHeaders, headersFor } from "./headers.ts";
import { BadReply, type Reply } from "./reply.ts";

/** What is known about a client's connection. */
export interface ClientContext {
  /** The connection; absent before it is opened, and for calls over HTTP. */
  conn?: Connection;
  readonly client: string;
  readonly headers: ClientHeaders;
  transport: string;
  protocol: string;
  /** What the sign-in tells only the server. */
  meta?: unknown;
}

/** One question. */
export interface Question<Answer> {
  readonly backend: Backend;
  readonly context: ClientContext;
  readonly account: string;
  readonly limited?: boolean;
  /** The members of the request in addition to those that each has. `undefined` leaves one out. */
  readonly members: Readonly<Record<string, unknown>>;
  /** Reads the result; `undefined` if the answer has none. */
  read(reply: Reply | undefined): Answer;
}

/** Asks. A refusal that disconnects ends the connection. */
export async function ask<Answer>(
  { backend, context, account, limited = true, members, read }: Question<Answer>,
): Promise<Answer> {
  const { options } = backend;
  const body = json({
    client: context.client,
    transport: context.transport,
    protocol: context.protocol,
    encoding: options.binary ? "binary" : "json",
    ...members,
    ...(options.includeMeta && { meta: context.meta }),
  }, options.binary === true);
  const headers = headersFor(options, context.headers);
  try {
    return read(await backend.ask({ body, headers, account, limited }));
  } catch (error) {
    if (error instanceof BadReply) throw backend.unusable(error);
    if (error instanceof BackendError && error.disconnect) context.conn?.close(error.disconnect);
    throw error;
  }
}

/** The same, but returns `undefined` if the backend cannot be asked and its options allow what it is asked about. */
export async function askOrAllow<Answer>(question: Question<Answer>): Promise<Answer | undefined> {
  try {
    return await ask(question);
  } catch (error) {
    if (error instanceof Unavailable && question.backend.options.whenDown === "allow") return undefined;
    throw error;
  }
}

/** Payloads are inserted as they are, or in base64. */
function json(members: Readonly<Record<string, unknown>>, binary: boolean): string {
  const texts = Object.entries(members).flatMap(([name, value]) => {
    if (value === undefined) return [];
    if (!(value instanceof Payload)) return [`${JSON.stringify(name)}:${JSON.stringify(value)}`];
    return binary ? [`"b64${name}":"${value.bytes.toBase64()}"`] : [`${JSON.stringify(name)}:${value.text}`];
  });
  return `{${texts.join(",")}}`;
}
