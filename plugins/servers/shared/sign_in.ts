/**
 * How clients sign in at the servers that are one object.
 *
 * @module
 */

import { checkOptions } from "../../../core/mod.ts";
import type { AuthOptions } from "../../auth.ts";
import { isLoopback } from "../../shared/client_ip.ts";

/** Options about who may come in. */
export interface SignInConfig {
  /** The address to listen on. On another than this machine's, `requireAuth` must be said. @default {"127.0.0.1"} */
  host?: string;
  /**
   * Whether clients must sign in. Saying `false` lets everybody in who reaches the server; saying nothing,
   * everybody on this machine. @default {false}
   */
  requireAuth?: boolean;
  /** The secret that tokens are signed with, at least 32 bytes. Whoever brings a token is its user. */
  jwtSecret?: string | undefined;
  /** Pages that may connect beside those of the server's own name and of this machine. */
  allowedOrigins?: readonly string[];
}

/** The options of `auth` for them; `server` is for the error. */
export function signInOptions(server: string, config: SignInConfig): AuthOptions {
  const { host = "127.0.0.1", requireAuth, jwtSecret, allowedOrigins = [] } = config;
  const exposed = !isLoopback(host);
  const rule = "true or false where others than this machine can connect";
  checkOptions(server).that(!exposed || requireAuth !== undefined, "requireAuth", rule, requireAuth);
  const mayStayUnknown = requireAuth === false || (requireAuth === undefined && jwtSecret !== undefined);
  return {
    hostname: host,
    origins: allowedOrigins,
    ...(jwtSecret !== undefined && { jwt: { secret: jwtSecret } }),
    // Where nobody can prove who they are, they may say it.
    ...(mayStayUnknown && {
      anonymous: { permissions: ["*"], user: jwtSecret === undefined ? "given" : "none" },
    }),
    // Without a secret there will be API keys; until then a check that knows nobody keeps the server closed.
    ...(requireAuth === true && jwtSecret === undefined && { signIn: () => undefined }),
  };
}
