/**
 * The methods for sign-in: revocations and API keys.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";
import type { Access, Revocation } from "../auth.ts";
import { badRequest } from "./errors.ts";
import { NOTHING, nothing, user } from "./fields.ts";
import type { Schema } from "./schema.ts";
import { type Method, own } from "./types.ts";

const ms = (description: string) =>
  ({ type: "integer", minimum: 0, description: `${description}, in milliseconds since 1970` }) as const;

const KEYS = "admin:api_keys";

const KEY = {
  name: { type: "string", minLength: 1, maxLength: 100, description: "The name in lists and logs" },
  permissions: {
    type: "array",
    items: {
      type: "string",
      pattern: "^(\\*|admin|(read|write|query|admin):.+)$",
      description: "`read:news`, `write:chat:*`, `admin`, `*` …",
    },
    minItems: 1,
    description: "What it may do",
    examples: [["read:news", "write:news"]],
  },
  expires_at: ms("When the key ends"),
} as const satisfies Record<string, Schema>;

const LISTED_KEY = { ...KEY, user, added_at: ms("When it was added") } as const;

/** Makes the methods. */
export function signInMethods(
  access: Pick<Access, "revoke" | "apiKeys" | "createApiKey" | "revokeApiKey">,
): Method[] {
  return [
    own({
      name: "revoke",
      summary: "Revokes tokens and closes their connections",
      params: {
        type: "object",
        properties: {
          jti: { type: "string", minLength: 1, description: "The id of one token" },
          user: { type: "string", minLength: 1, description: "Whose tokens" },
          issued_before: ms("Revokes tokens issued until then; with a user by default until now"),
          until: ms("When the revocation itself may be forgotten"),
        },
      },
      result: {
        type: "object",
        properties: { closed: { type: "integer", description: "Closed connections" } },
      },
      permission: "admin:sign_in",
      run: async (params) => `{"closed":${await access.revoke(revocationOf(params))}}`,
    }),

    own({
      name: "api_keys",
      summary: "Lists the API keys, without the keys themselves",
      params: { type: "object", properties: {} },
      result: {
        type: "object",
        properties: { api_keys: { type: "array", items: { type: "object", properties: LISTED_KEY } } },
      },
      permission: KEYS,
      run() {
        const keys = access.apiKeys().map(({ name, permissions, expiresAt, user, addedAt }) => {
          return { name, permissions, expires_at: expiresAt, user, added_at: addedAt };
        });
        return JSON.stringify({ api_keys: keys });
      },
    }),

    own({
      name: "api_keys/add",
      summary: "Adds an API key, and returns it once. The permission to do this includes all others",
      params: {
        type: "object",
        properties: { ...KEY, user: { ...user, description: "The user id of the key's holder" } },
        required: ["name", "permissions"],
      },
      result: { type: "object", properties: { key: { type: "string" } } },
      permission: KEYS,
      async run({ name, permissions, expires_at, user }) {
        if (access.apiKeys().some((each) => each.name === name)) throw badRequest(`name: "${name}" is taken`);
        const key = await access.createApiKey({
          name,
          permissions,
          ...(expires_at !== undefined && { expiresAt: expires_at }),
          ...(user !== undefined && { user }),
        });
        return JSON.stringify({ key });
      },
    }),

    own({
      name: "api_keys/end",
      summary: "Revokes an API key and closes its connections",
      params: { type: "object", properties: { name: KEY.name }, required: ["name"] },
      result: nothing,
      permission: KEYS,
      async run({ name }) {
        if (await access.revokeApiKey(name)) return NOTHING;
        throw new PlugboardError("not_found", `name: there is no API key "${name}"`);
      },
    }),
  ];
}

function revocationOf({ jti, user, issued_before, until }: {
  readonly jti?: string;
  readonly user?: string;
  readonly issued_before?: number;
  readonly until?: number;
}): Revocation {
  const end = until === undefined ? {} : { until };
  const before = issued_before === undefined ? {} : { issuedBefore: issued_before };
  if (jti !== undefined) return { jti, ...end };
  if (user !== undefined) return { user, ...before, ...end };
  if (issued_before !== undefined) return { issuedBefore: issued_before };
  throw badRequest("jti, user or issued_before must be given");
}
