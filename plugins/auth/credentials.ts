import type { Credentials } from "./types.ts";

type TokenOrKey = Pick<Credentials, "token" | "apiKey">;

/** The subprotocol that precedes the token: browsers cannot set headers. */
const MARKER = "bearer";

/**
 * Finds the credentials of a request: `Authorization: Bearer TOKEN` or `apikey KEY`, `X-API-Key`, the subprotocols
 * `["bearer", TOKEN]`, or `?token=` and `?api_key=`. The first in this order is used. Other schemes of `Authorization`
 * are ignored, they may be for a proxy.
 */
export function findCredentials(url: string, headers: Headers, offered: readonly string[] = []): TokenOrKey {
  const [, scheme, credentials] = headers.get("authorization")?.match(/^(bearer|apikey) +(\S+) *$/i) ?? [];
  if (credentials !== undefined) {
    return scheme!.toLowerCase() === "bearer" ? { token: credentials } : { apiKey: credentials };
  }
  const apiKey = headers.get("x-api-key");
  if (apiKey) return { apiKey };
  const marker = offered.indexOf(MARKER);
  const subprotocol = marker === -1 ? undefined : offered[marker + 1];
  return subprotocol === undefined ? inQuery(url) : { token: subprotocol };
}

function inQuery(url: string): TokenOrKey {
  const question = url.indexOf("?");
  if (question === -1) return {};
  const query = new URLSearchParams(url.slice(question));
  const [token, apiKey] = [query.get("token"), query.get("api_key")];
  return token ? { token } : apiKey ? { apiKey } : {};
}

/**
 * Returns the subprotocol to answer if the endpoint chose none: browsers fail the connection if they offered some and
 * get none. It is the marker, never the token.
 */
export function markerAmong(offered: readonly string[]): string | undefined {
  return offered.includes(MARKER) ? MARKER : undefined;
}
