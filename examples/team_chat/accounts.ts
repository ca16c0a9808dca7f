/** Accounts of the team chat: passwords are stored as hashes, and a signed cookie keeps a browser signed in. */

import { jwtVerify, SignJWT } from "jose";
import { randomBytes, scrypt, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import type { Store } from "@plugboard/server/persistence";

export const SESSION_SECONDS = 7 * 86_400;
const TOKEN_SECONDS = 300;

/** A session, or why there is none. */
type Entered = { session: string; error?: never } | { session?: never; error: string };

export function accounts(store: Store, secret: string) {
  const key = new TextEncoder().encode(secret);

  function sign(user: string, audience: string, seconds: number): Promise<string> {
    return new SignJWT({ sub: user }).setProtectedHeader({ alg: "HS256" }).setAudience(audience)
      .setExpirationTime(`${seconds} seconds`).sign(key);
  }
  const enter = async (user: string): Promise<Entered> => ({
    session: await sign(user, "session", SESSION_SECONDS),
  });

  return {
    async signUp(given: unknown): Promise<Entered> {
      const { name, password } = fieldsOf(given);
      if (!/^\w{1,20}$/.test(name)) return { error: "A name has 1 to 20 letters or digits." };
      if (password.length < 8 || password.length > 200) return { error: "A password has 8 to 200 letters." };
      const salt = randomBytes(16);
      const hash = await hashed(password, salt);
      const { changes } = await store.run(
        "INSERT INTO users (name, salt, hash) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        [name, salt, hash],
      );
      return changes === 1 ? await enter(name) : { error: "This name is taken." };
    },

    async signIn(given: unknown): Promise<Entered> {
      const { name, password } = fieldsOf(given);
      const [user] = store.all<{ salt: Uint8Array; hash: Uint8Array }>(
        "SELECT salt, hash FROM users WHERE name = ?",
        [name],
      );
      // An unknown name takes as long as a wrong password.
      const hash = await hashed(password, user?.salt ?? new Uint8Array(16));
      const right = user !== undefined && timingSafeEqual(hash, user.hash);
      return right ? await enter(name) : { error: "The name or the password is wrong." };
    },

    /** Returns the token for the realtime connection of a session. */
    async tokenFor(session = ""): Promise<{ name: string; token: string } | undefined> {
      try {
        const { payload: { sub: name = "" } } = await jwtVerify(session, key, { audience: "session" });
        return { name, token: await sign(name, "realtime", TOKEN_SECONDS) };
      } catch {
        return undefined;
      }
    },
  };
}

const derive = promisify<string, Uint8Array, number, Uint8Array>(scrypt);

/** Slow on purpose: a stolen database gives no passwords away. */
function hashed(password: string, salt: Uint8Array): Promise<Uint8Array> {
  return derive(password.slice(0, 200), salt, 32);
}

function fieldsOf(given: unknown): { name: string; password: string } {
  const { name, password } = (given ?? {}) as { name?: unknown; password?: unknown };
  return { name: String(name), password: String(password) };
}
