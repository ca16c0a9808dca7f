import { checkOptions } from "../../../core/mod.ts";
import type { AuthOptions } from "../../auth.ts";
import { isLoopback } from "../../shared/client_ip.ts";

/** Options for sign-in of the servers that are one object. */
export interface SignInConfig {
  /** The address to listen on. A non-loopback address needs `requireAuth`. @default {"127.0.0.1"} */
  host?: string;
  /**
   * Whether clients must sign in. If `false`, anyone who reaches the server may connect; if absent, anyone on this
   * machine. @default {false}
   */
  requireAuth?: boolean;
  /** The secret that tokens are signed with, at least 32 bytes. */
  jwtSecret?: string | undefined;
  /** Origins that may connect, in addition to the server's own and those of this machine. */
  allowedOrigins?: readonly string[];
}

/** Converts them to the options of `auth`. Errors name the `server`. */
export function signInOptions(server: string, config: SignInConfig): AuthOptions {
  const { host = "127.0.0.1", requireAuth, jwtSecret, allowedOrigins = [] } = config;
  const exposed = !isLoopback(host);
  const rule = "true or false where others than this machine can connect";
  checkOptions(server).that(!exposed || requireAuth !== undefined, "requireAuth", rule, requireAuth);
  const allowsAnonymous = requireAuth === false || (requireAuth === undefined && jwtSecret !== undefined);
  return {
    hostname: host,
    origins: allowedOrigins,
    ...(jwtSecret !== undefined && { jwt: { secret: jwtSecret } }),
    // Without a secret there are no tokens, so clients name their user themselves.
    ...(allowsAnonymous && {
      anonymous: { permissions: ["*"], user: jwtSecret === undefined ? "given" : "none" },
    }),
    // API keys may be added later. Until then, a check that refuses everyone keeps the server closed.
    ...(requireAuth === true && jwtSecret === undefined && { signIn: () => undefined }),
  };
}
