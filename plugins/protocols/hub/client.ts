import type { HubMessage } from "./message.ts";
import type { SendReport } from "./sending.ts";

/** Options of {@linkcode hubClient}. */
export interface HubClientOptions {
  /** The hub's URL: `http://hub:8081`. */
  baseUrl: string;
  /** The hub's `HUB_API_KEY`. */
  apiKey: string;
  /** Timeout of one attempt. @default {5000} */
  timeoutMs?: number;
  /** Number of retries if the hub is unreachable. @default {2} */
  retries?: number;
  /** Delay of the first retry; it doubles for each further one. @default {200} */
  retryDelayMs?: number;
}

/** The result of a call; calls do not throw. */
export type HubResult<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: HubFailure };

/** Why a call failed. */
export interface HubFailure {
  /** `unreachable`, `timeout`, or the hub's code: `unauthorized`, `bad_request`, `too_many_requests` … */
  readonly code: string;
  /** A sentence for people. */
  readonly message: string;
  /** The status of the response, if there was one. */
  readonly status?: number;
}

/** How to send a payload. */
export interface SendOptions {
  /** The message's type. @default {"notification"} */
  type?: string;
  /** The message's time, in ISO 8601. @default {now} */
  timestamp?: string;
}

/** Calls a hub, for backends. */
export interface HubClient {
  /** Sends a payload to all connections of a user. */
  sendToUser(userId: string, payload: unknown, options?: SendOptions): Promise<HubResult<SendReport>>;
  /** Sends a payload to all connections of a session. */
  sendToSession(sessionId: string, payload: unknown, options?: SendOptions): Promise<HubResult<SendReport>>;
  /** Sends a payload to all clients. */
  broadcast(payload: unknown, options?: SendOptions): Promise<HubResult<{ readonly delivered: number }>>;
}

/**
 * Makes a client for a hub. Refused and failed calls return a result instead of throwing:
 *
 * ```ts
 * import { hubClient } from "@plugboard/server/hub";
 *
 * const hub = hubClient({ baseUrl: "http://127.0.0.1:1", apiKey: "secret", retries: 0 });
 * const result = await hub.sendToUser("user123", { title: "Hello" });
 * if (!result.ok) console.log(result.error.code); // unreachable
 * ```
 *
 * A call is retried if the hub is unreachable. Its idempotency key ensures that the message is sent once, even if only
 * the response was lost.
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
    // Other parts of the server, such as a limit of requests, put their errors into `error`.
    const { code = "refused", message = `The hub answered ${response.status}` } = body.error ?? body;
    return { ok: false, error: { code, message, status: response.status } };
  } catch (error) {
    if (timeout.aborted) {
      return { ok: false, error: { code: "timeout", message: `No answer within ${timeoutMs} ms` } };
    }
    return { ok: false, error: { code: "unreachable", message: String(error) } };
  }
}
