/**
 * The methods for operators: sign-in and the database.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";
import type { Access, Revocation } from "../auth.ts";
import type { LiveQueries } from "../live_queries.ts";
import type { Store } from "../persistence.ts";
import { OWN_TABLES } from "../shared/own_tables.ts";
import { badRequest } from "./errors.ts";
import { NOTHING, nothing, user } from "./fields.ts";
import type { Schema } from "./schema.ts";
import { type Method, own } from "./types.ts";

/** What the methods work with. A service that is absent is not available. */
export interface OperatingParts {
  readonly access: Pick<Access, "revoke" | "apiKeys" | "createApiKey" | "revokeApiKey">;
  readonly queries: Pick<LiveQueries, "read"> | undefined;
  readonly store: Pick<Store, "all" | "table" | "backup"> | undefined;
  /** The folder of backups. */
  readonly backups: string | undefined;
  wallTime(): number;
}

const ms = (description: string) =>
  ({ type: "integer", minimum: 0, description: `${description}, in milliseconds since 1970` }) as const;

/** Makes the methods. */
export function operatingMethods(parts: OperatingParts): Method[] {
  return [...signInMethods(parts), ...databaseMethods(parts)];
}

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

function signInMethods({ access }: OperatingParts): Method[] {
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

const DATABASE = "admin:database";

function databaseMethods({ queries, store, backups, wallTime }: OperatingParts): Method[] {
  let writing = false;

  return [
    own({
      name: "query",
      summary: "Runs a declared live query once",
      params: {
        type: "object",
        properties: {
          name: { type: "string", minLength: 1, description: "The name of the query" },
          params: { type: "object", description: "Its parameters by name: strings, numbers, true or false" },
        },
        required: ["name"],
      },
      result: {
        type: "object",
        properties: {
          key: { description: "The columns that identify a row; null without a key" },
          rows: { type: "array", items: { type: "object" } },
        },
      },
      permission: "read:live:{name}",
      run({ name, params = {} }, { identity }) {
        if (queries === undefined) throw notAvailable("There are no live queries");
        const values = Object.entries(params as Record<string, unknown>).map(([param, value]) => {
          if (typeof value === "object") {
            throw badRequest(`params.${param} must be a string, a number, true or false`);
          }
          return [param, String(value)];
        });
        // An operator may read the rows of any user.
        const reader = identity.can("admin", "database") ? undefined : identity;
        return queries.read(name, Object.fromEntries(values), reader).text;
      },
    }),

    own({
      name: "tables",
      summary: "Lists the app's tables and their columns",
      params: { type: "object", properties: {} },
      result: {
        type: "object",
        properties: {
          tables: {
            type: "array",
            items: {
              type: "object",
              properties: {
                name: { type: "string" },
                columns: { type: "array", items: { type: "string" } },
                primary_key: { type: "array", items: { type: "string" } },
              },
            },
          },
        },
      },
      permission: DATABASE,
      run() {
        const tables = storeOf(store).all<{ name: string }>(
          "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name",
        ).flatMap(({ name }) => {
          const table = OWN_TABLES.test(name) ? undefined : store?.table(name);
          if (table === undefined || table.shadow) return [];
          return [{ name, columns: table.columns, primary_key: table.primaryKey }];
        });
        return JSON.stringify({ tables });
      },
    }),

    own({
      name: "backup",
      summary: "Writes a copy of the database to the folder of backups",
      params: {
        type: "object",
        properties: {
          name: {
            type: "string",
            pattern: "^[A-Za-z0-9][A-Za-z0-9_-]*(\\.[A-Za-z0-9_-]+)*$",
            maxLength: 100,
            description:
              "The name of the file, by default one with the time. An older file of this name is replaced",
          },
        },
      },
      result: { type: "object", properties: { path: { type: "string" }, bytes: { type: "integer" } } },
      permission: DATABASE,
      async run({ name = defaultName(wallTime()) }) {
        if (backups === undefined) throw notAvailable("There is no folder for backups");
        if (writing) throw new PlugboardError("conflict", "Another backup is being written");
        writing = true;
        try {
          const path = `${backups}/${name}`;
          await Deno.mkdir(backups, { recursive: true });
          await storeOf(store).backup(path);
          return JSON.stringify({ path, bytes: (await Deno.stat(path)).size });
        } finally {
          writing = false;
        }
      },
    }),
  ];
}

function storeOf<S>(store: S | undefined): S {
  if (store === undefined) throw notAvailable("There is no database");
  return store;
}

function notAvailable(message: string): PlugboardError {
  return new PlugboardError("not_available", message);
}

/** `plugboard-20261128-211930.db`, in UTC. */
function defaultName(now: number): string {
  const digits = new Date(now).toISOString().replaceAll(/\D/g, "");
  return `plugboard-${digits.slice(0, 8)}-${digits.slice(8, 14)}.db`;
}
