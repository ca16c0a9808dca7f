/**
 * URLs that this server sends requests to.
 *
 * @module
 */

import { messageOf } from "../../core/mod.ts";

/** Whether a text is an http or https URL without a user name and a password. */
export function isHttpUrl(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) && url.username === "" && url.password === "";
}

/** Returns a URL without its query, which may contain a secret, for logs. */
export function shownUrl(text: string): string {
  const url = URL.parse(text);
  return url === null ? "an invalid URL" : `${url.origin}${url.pathname}`;
}

/** Returns why a request to a URL failed, without the URL's query. */
export function requestFailure(error: unknown, url: string): string {
  const cause = error instanceof Error ? error.cause : undefined;
  const reason = cause === undefined ? messageOf(error) : `${messageOf(error)}: ${messageOf(cause)}`;
  return reason.replaceAll(url, shownUrl(url)); // The runtime's messages contain the URL.
}
