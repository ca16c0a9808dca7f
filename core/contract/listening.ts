/**
 * Listening: where a server listens, and what a plugin needs to listen in place of the kernel.
 *
 * @module
 */

import type { Admission } from "./admission.ts";
import { messageOf, PlugboardError } from "./errors.ts";
import type { MaybePromise } from "./promises.ts";

/** Where a listener listens. */
export interface Address {
  /** The numeric address. */
  readonly hostname: string;
  /** The port, also if any free one was requested. */
  readonly port: number;
  /** `http://…` or `https://…`, without a slash at the end. */
  readonly url: string;
}

/**
 * Returns an address with its URL.
 *
 * ```ts
 * import { addressOf } from "@plugboard/server";
 * import assert from "node:assert/strict";
 *
 * assert.equal(addressOf({ hostname: "::1", port: 8080 }).url, "http://[::1]:8080");
 * ```
 */
export function addressOf(
  { hostname, port }: Omit<Address, "url">,
  scheme: "http" | "https" = "http",
): Address {
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  return { hostname, port, url: `${scheme}://${host}:${port}` };
}

/** Returns the error for an address that cannot be listened on. `files` names the certificate and its key. */
export function listenError(
  { hostname, port }: Pick<Address, "hostname" | "port">,
  files: string,
  cause: unknown,
): PlugboardError {
  const reason = cause instanceof Deno.errors.AddrInUse
    ? "the address is in use; stop the program that uses it, or choose another port"
    : messageOf(cause);
  return new PlugboardError("listen_failed", `Cannot listen on ${hostname}:${port}${files}: ${reason}`, {
    cause,
  });
}

/** A listener that a plugin opens. */
export interface Listening {
  /** The address to listen on. */
  readonly hostname: string;
  /** The port, 0 for any free one. */
  readonly port: number;
  /** The certificate and its key, in PEM. */
  readonly tls?: { readonly cert: string; readonly key: string } | undefined;
  /** Answers a request that is no WebSocket handshake. */
  fetch(request: Request, info: Deno.ServeHandlerInfo): MaybePromise<Response>;
  /** Routes a WebSocket handshake. Returns the admission to open when the socket is open, or the refusal to answer with. */
  admit(
    request: Request,
    info: Pick<Deno.ServeHandlerInfo, "remoteAddr">,
  ): MaybePromise<Response | Admission>;
}

/** A listener that is open. */
export interface OpenListener {
  /** Where it listens. */
  readonly address: Address;
  /** A sentence if it accepts no connections at the moment. */
  readonly problem: string | undefined;
  /** Closes the port. Pending requests may finish within `ms` and are aborted after that. */
  close(ms: number): Promise<void>;
}
