/**
 * Sign-in: who somebody is and what they may do, by tokens, API keys or the app's own check.
 *
 * @module
 */

export type * from "./auth/types.ts";
export type { Identity, Verb } from "./shared/identity.ts";
