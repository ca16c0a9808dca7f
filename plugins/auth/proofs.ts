/**
 * Proofs: where in a request a token or an API key may stand.
 *
 * @module
 */

/** A token or an API key, as a request brought it. */
export interface Proof {
  readonly token?: string;
  readonly apiKey?: string;
}

/** The subprotocol behind which a browser, which cannot set headers, may offer its token. */
const MARKER = "bearer";

/**
 * Finds the proof in a request: `Authorization: Bearer TOKEN` or `apikey KEY`, `X-API-Key`, the subprotocols
 * `["bearer", TOKEN]`, or `?token=` and `?api_key=`. Of several the first in this order counts. Other schemes of
 * `Authorization` are between the client and some proxy.
 */
export function findProof(url: string, headers: Headers, offered: readonly string[] = []): Proof {
  const [, scheme, credentials] = headers.get("authorization")?.match(/^(bearer|apikey) +(\S+) *$/i) ?? [];
  if (credentials !== undefined) {
    return scheme!.toLowerCase() === "bearer" ? { token: credentials } : { apiKey: credentials };
  }
  const apiKey = headers.get("x-api-key");
  if (apiKey !== null && apiKey !== "") return { apiKey };
  const marker = offered.indexOf(MARKER);
  const subprotocol = marker === -1 ? undefined : offered[marker + 1];
  if (subprotocol !== undefined) return { token: subprotocol };
  return inQuery(url);
}

function inQuery(url: string): Proof {
  const question = url.indexOf("?");
  if (question === -1) return {};
  const query = new URLSearchParams(url.slice(question));
  const token = query.get("token");
  if (token) return { token };
  const apiKey = query.get("api_key");
  return apiKey ? { apiKey } : {};
}

/**
 * The subprotocol to answer where the endpoint chose none: a browser that offered some fails the connection
 * unless one comes back. It is the marker, never the token.
 */
export function markerAmong(offered: readonly string[]): string | undefined {
  return offered.includes(MARKER) ? MARKER : undefined;
}
