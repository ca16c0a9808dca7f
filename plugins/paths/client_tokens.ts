import { createHmac, timingSafeEqual } from "node:crypto";

/** Issues and verifies client tokens, by which returning clients prove their ids. Stateless. */
export interface ClientTokens {
  /** Returns the token of a client on a path. */
  issue(path: string, client: string): string;
  /** Verifies a token in constant time. */
  verify(path: string, client: string, token: string): boolean;
}

/** Signs tokens with a secret (HMAC-SHA-256). */
export function clientTokensWith(secret: string): ClientTokens {
  const issue = (path: string, client: string) =>
    createHmac("sha256", secret).update(`${path}\n${client}`).digest("base64url");
  return {
    issue,
    verify(path, client, token) {
      const expected = new TextEncoder().encode(issue(path, client));
      const given = new TextEncoder().encode(token);
      return given.length === expected.length && timingSafeEqual(given, expected);
    },
  };
}
