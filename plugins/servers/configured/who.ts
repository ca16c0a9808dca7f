import type { Verb } from "../../auth.ts";
import { type Identity, isProven } from "../../shared/identity.ts";
import type { Who } from "./declarations.ts";

/** Whether an identity is among those that a file allows. */
export function isAmong(who: Who, identity: Identity): boolean {
  if (who === "anyone" || who === "nobody") return who === "anyone";
  if (who === "signed_in") return isProven(identity);
  const [verb, ...resource] = who.split(":");
  return identity.can(verb as Verb, resource.join(":"));
}
