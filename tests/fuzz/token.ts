import { SignJWT } from "jose";

/** A token of a user who may read and write everything. */
export function signedToken(secret: string): Promise<string> {
  return new SignJWT({ sub: "eve", permissions: ["read:*", "write:*"] })
    .setProtectedHeader({ alg: "HS256" })
    .setExpirationTime("2h")
    .sign(new TextEncoder().encode(secret));
}
