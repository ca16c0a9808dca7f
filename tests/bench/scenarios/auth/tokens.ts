/** Tokens for the bench. */

import { SignJWT } from "jose";

/** The secret of the tokens. */
export const SECRET = "the secret of the bench, forty bytes long";

/** Creates a token for each of `count` users. */
export function makeTokens(count: number): Promise<string[]> {
  const key = new TextEncoder().encode(SECRET);
  return Promise.all(
    Array.from(
      { length: count },
      (_, i) =>
        new SignJWT({ sub: `user-${i}` }).setProtectedHeader({ alg: "HS256" }).setExpirationTime("1h").sign(
          key,
        ),
    ),
  );
}
