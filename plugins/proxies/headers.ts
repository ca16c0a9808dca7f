/**
 * Which headers the backend gets. Their names are the operator's; clients give only values.
 *
 * @module
 */

import { checkOptions } from "../../core/mod.ts";
import type { ProxyOptions } from "./types.ts";

/** Headers that belong to the request itself. */
const OWN: ReadonlySet<string> = new Set([
  ...[
    "host",
    "content-type",
    "content-length",
    "content-encoding",
    "transfer-encoding",
    "connection",
    "upgrade",
  ],
  ...["keep-alive", "te", "trailer", "expect", "proxy-connection"],
]);

/** The headers of one client: from its request, and from its connect command. */
export interface ClientHeaders {
  readonly http: Readonly<Record<string, string>>;
  emulated: Readonly<Record<string, string>>;
}

/** Throws unless the listed names can be passed on. */
export function checkHeaderNames(
  event: string,
  { httpHeaders = [], emulatedHeaders = [] }: ProxyOptions,
): void {
  for (const [option, names] of Object.entries({ httpHeaders, emulatedHeaders })) {
    for (const name of names) {
      const valid = /^[\w!#$%&'*+.^`|~-]+$/.test(name) && !OWN.has(name.toLowerCase());
      checkOptions("proxies").that(
        valid,
        `${event}.${option}`,
        "names of headers that can be passed on",
        name,
      );
    }
  }
}

/** Throws unless the static headers can be sent. Their values are secret. */
export function checkStaticHeaders(event: string, { staticHeaders = {} }: ProxyOptions): void {
  for (const [name, value] of Object.entries(staticHeaders)) {
    const check = checkOptions("proxies");
    check.that(!OWN.has(name.toLowerCase()), `${event}.staticHeaders`, "headers that can be set", name);
    let valid = true;
    try {
      new Headers([[name, value]]);
    } catch {
      valid = false;
    }
    check.that(valid, `${event}.staticHeaders`, "valid headers", name);
  }
}

/** Returns those of the headers that have one of the names. */
export function pick(
  names: ReadonlySet<string>,
  entries: Iterable<readonly [string, unknown]>,
): Record<string, string> {
  const picked: Record<string, string> = {};
  for (const [given, value] of entries) {
    const name = given.toLowerCase();
    if (names.has(name) && typeof value === "string") picked[name] = value;
  }
  return picked;
}

/** Returns the headers of a request to the backend. */
export function headersFor(
  { staticHeaders = {}, httpHeaders = [], emulatedHeaders = [] }: ProxyOptions,
  { http, emulated }: ClientHeaders,
): Headers {
  const headers = new Headers(staticHeaders);
  const add = (names: readonly string[], values: Readonly<Record<string, string>>) => {
    for (const name of names) {
      const value = values[name.toLowerCase()];
      if (value === undefined) continue;
      try {
        headers.set(name, value);
      } catch { /* A value with a line break. */ }
    }
  };
  add(emulatedHeaders, emulated);
  add(httpHeaders, http);
  return headers;
}
