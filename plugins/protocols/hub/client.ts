/**
 * The client that backends call a hub with.
 *
 * @module
 */

import type { HubMessage } from "./message.ts";
import type { SendReport } from "./sending.ts";

/** Options of {@linkcode hubClient}. */
export interface HubClientOptions {
  /** Where the hub is: `http://hub:8081`. */
  baseUrl: string;
  /** The hub's `HUB_API_KEY`. */
  apiKey: string;
  /** How long one attempt may take. @default {5000} */
  timeoutMs?: number;
  /** How often to try again when the hub could not be reached. @default {2} */
  retries?: number;
  /** How long to wait before the first of these; before each further one twice as long. @default {200} */
  retryDelayMs?: number;
}

/** What became of a call: nothing is thrown. */
export type HubResult<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: HubFailure };

/** Why a call was not done. */
export interface HubFailure {
  /** `unreachable`, `timeout`, or what the hub says: `unauthorized`, `bad_request`, `too_many_requests` … */
  readonly code: string;
  /** For people. */
  readonly message: string;
  /** The answer's status; absent when there was none. */
  readonly status?: number;
}

/** How to send a payload. */
export interface SendOptions {
  /** The message's type. @default {"notification"} */
  type?: string;
  /** The message's time, in ISO 8601. @default {now} */
  timestamp?: string;
}

/** Calls a hub. */
export interface HubClient {
  /** Sends a payload to all connections of a user. */
  sendToUser(userId: string, payload: unknown, options?: SendOptions): Promise<HubResult<SendReport>>;
  /** Sends a payload to all connections of a session. */
  sendToSession(sessionId: string, payload: unknown, options?: SendOptions): Promise<HubResult<SendReport>>;
  /** Sends a payload to everybody. */
  broadcast(payload: unknown, options?: SendOptions): Promise<HubResult<{ readonly delivered: number }>>;
}

/**
 * Makes a client for a hub. A refused or failed call is a result, not a throw:
 *
 * ```ts
 * import { hubClient } from "@plugboard/server/hub";
 *
 * const hub = hubClient({ baseUrl: "http://127.0.0.1:1", apiKey: "secret", retries: 0 });
 * const result = await hub.sendToUser("user123", { title: "Hello" });
 * if (!result.ok) console.log(result.error.code); // unreachable
 * ```
 *
 * A call that found no hub is tried again. It carries an idempotency key, so that the message is sent once even if
 * only the answer was lost.
 */
export function hubClient(options: HubClientOptions): HubClient {
  const { apiKey, timeoutMs = 5_000, retries = 2, retryDelayMs = 200 } = options;
  const base = options.baseUrl.replace(/\/+$/, "");

  async function call<T>(path: string, body: object): Promise<HubResult<T>> {
    const headers = {
      "content-type": "application/json",
      "x-api-key": apiKey,
      "idempotency-key": crypto.randomUUID(),
    };
    const init = { method: "POST", headers, body: JSON.stringify(body) };
    for (let attempt = 0;; attempt++) {
      const result = await once<T>(base + path, init, timeoutMs);
      const again = !result.ok && (result.error.code === "unreachable" || result.error.status === 503);
      if (!again || attempt >= retries) return result;
      await new Promise((resolve) => setTimeout(resolve, retryDelayMs * 2 ** attempt));
    }
  }

  return {
    sendToUser: (targetUserId, payload, send) =>
      call("/api/send", { targetUserId, message: message(payload, send) }),
    sendToSession: (targetSessionId, payload, send) =>
      call("/api/send", { targetSessionId, message: message(payload, send) }),
    broadcast: (payload, send) => call("/api/broadcast", message(payload, send)),
  };
}

function message(payload: unknown, { type = "notification", timestamp }: SendOptions = {}): HubMessage {
  return { type, payload, timestamp: timestamp ?? new Date().toISOString() };
}

async function once<T>(url: string, init: RequestInit, timeoutMs: number): Promise<HubResult<T>> {
  const timeout = AbortSignal.timeout(timeoutMs);
  try {
    const response = await fetch(url, { ...init, signal: timeout });
    const body = await response.json().catch(() => ({}));
    if (response.ok) return { ok: true, value: body as T };
    // What stands before the hub, such as a limit of all requests, has its refusals within `error`.
    const { code = "refused", message = `The hub answered ${response.status}` } = body.error ?? body;
    return { ok: false, error: { code, message, status: response.status } };
  } catch (error) {
    if (timeout.aborted) {
      return { ok: false, error: { code: "timeout", message: `No answer within ${timeoutMs} ms` } };
    }
    return { ok: false, error: { code: "unreachable", message: String(error) } };
  }
}
