/**
 * Who may call the hub's HTTP side.
 *
 * @module
 */

import { createHash, timingSafeEqual } from "node:crypto";
import type { MaybePromise } from "../../../core/mod.ts";
import type { Access } from "../../auth/types.ts";
import type { ApiContext } from "./api.ts";

/**
 * Lets callers pass who have the hub's key, or whom sign-in knows as admins of `hub`. The key is compared by its
 * hash: that takes the same time however much of a guess is right, and however long it is.
 */
export function apiGuard({ apiKey, access }: {
  apiKey: string | undefined;
  access: Pick<Access, "requireAuth"> | undefined;
}): (c: ApiContext) => MaybePromise<Response | undefined> {
  const expected = apiKey === undefined ? undefined : sha256(apiKey);
  const bySignIn = access?.requireAuth("admin", "hub");
  return async (c) => {
    const given = c.req.header("x-api-key");
    if (expected !== undefined && given !== undefined && timingSafeEqual(sha256(given), expected)) return;
    if (bySignIn !== undefined) {
      const refused = await bySignIn(c, () => Promise.resolve());
      return refused ? await inOwnForm(refused) : undefined;
    }
    const message = given === undefined ? "X-API-Key is missing" : "X-API-Key is wrong";
    return Response.json({ status: "error", code: "unauthorized", message }, { status: 401 });
  };
}

/** Whoever calls the hub reads refusals as the hub writes them. */
async function inOwnForm(refused: Response): Promise<Response> {
  const { error } = await refused.json();
  const { status, headers } = refused;
  return Response.json({ status: "error", ...error }, { status, headers });
}

function sha256(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}
