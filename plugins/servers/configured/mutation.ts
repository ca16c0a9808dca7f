/**
 * Mutations as a file declares them: statements of SQL with parameters.
 *
 * @module
 */

import { PlugboardError } from "../../../core/mod.ts";
import type { ParamType } from "../../live_queries.ts";
import { paramNames } from "../../live_queries/definition.ts";
import type { Mutation } from "../../mutations.ts";
import type { Reader, Row, Value } from "../../persistence/sql_types.ts";
import { type Caller, RpcError } from "../../rpc.ts";
import { isProven } from "../../shared/identity.ts";
import { isRecord } from "../../shared/records.ts";
import type { MutationSettings, PublishSettings } from "./declarations.ts";
import { isAmong } from "./who.ts";

/** A value as JSON has it. */
type JsonValue = string | number | null;

/** A row of such values. */
type JsonRow = Readonly<Record<string, JsonValue>>;

/** The values of the parameters. `user` parameters are added later. */
type Args = JsonRow;

/** The reply of a call; `null` if no statement returns a row. */
type Answer = JsonRow | null;

/** Rows that one statement may return. Only the first is the reply. */
const MAX_ROWS = 1_000;

/** What is published after a call. */
export interface Outcome {
  readonly channel: string;
  readonly data: unknown;
}

/** A compiled mutation. */
export interface CompiledMutation extends Required<Omit<Mutation<Args, unknown>, "args">> {
  args(value: unknown): Args;
  /** Throws if a statement is wrong. */
  check(reader: Pick<Reader, "all">): void;
}

/** What a mutation needs. */
export interface MutationParts {
  /** Throws if the name of a channel is not valid. */
  checkChannel(name: string): void;
  /** Publishes after the commit. */
  publish(outcome: Outcome): Promise<unknown>;
}

/** Makes a method of what a file declares. Throws a sentence if the parameters are not those of the statements. */
export function compileMutation(
  name: string,
  given: MutationSettings,
  parts: MutationParts,
): CompiledMutation {
  const { params = {}, call = `write:rpc:${name}`, mustChange = false } = given;
  const statements = [given.sql].flat().map((sql) => ({ sql, names: paramNames(sql) }));
  const publishes = [given.publish ?? []].flat();
  checkNames(params, statements.flatMap(({ names }) => names), publishes);

  function outcomesOf(args: Args, reply: Answer): Outcome[] {
    const values = { ...args, ...reply };
    return publishes.map(({ channel, data }) => {
      const outcome = {
        channel: channelOf(channel, values),
        data: data === undefined ? plain(args) : fill(data, values),
      };
      parts.checkChannel(outcome.channel);
      return outcome;
    });
  }

  return {
    args: (value) => readArgs(params, value),
    allow: ({ identity }) => isAmong(call, identity),
    check(reader) {
      for (const { sql } of statements) reader.all(`EXPLAIN ${sql}`);
    },
    run(tx, args, caller) {
      const values = { ...args, ...usersOf(params, caller) };
      const before = changesIn(tx);
      let reply: Row | null = null;
      try {
        for (const { sql, names } of statements) {
          const own = Object.fromEntries(names.map((each) => [each, values[each]!]));
          const rows = tx.all(sql, own, { maxRows: MAX_ROWS, atOnce: true });
          reply = rows[0] ?? reply;
        }
      } catch (error) {
        // The name of the rule is the operator's sentence for users: CONSTRAINT "a total is positive" CHECK (total > 0).
        if (error instanceof PlugboardError && error.code === "constraint") {
          throw new RpcError(409, error.message.replace(/^CHECK constraint failed: /, ""));
        }
        throw error;
      }
      if (mustChange && changesIn(tx) === before) throw new RpcError(404, "Nothing was changed");
      const answer = reply === null ? null : plain(reply);
      outcomesOf(values, answer); // refuses the call while it can be undone
      return answer;
    },
    async committed(reply, args, caller) {
      for (const outcome of outcomesOf({ ...args, ...usersOf(params, caller) }, reply as Answer)) {
        await parts.publish(outcome);
      }
    },
  };
}

function changesIn(reader: Pick<Reader, "get">): Value {
  return reader.get<{ n: Value }>("SELECT total_changes() AS n")!.n;
}

/** The `{name}`s of a text. */
const PLACES = /\{(\w+)\}/g;

function checkNames(
  params: Readonly<Record<string, ParamType>>,
  used: readonly string[],
  publishes: readonly PublishSettings[],
): void {
  const unknown = used.find((name) => !Object.hasOwn(params, name));
  if (unknown !== undefined) {
    throw new PlugboardError("bad_option", `the SQL has the parameter ${unknown}, which is not in params`);
  }
  const inChannels = publishes.flatMap(({ channel }) =>
    [...channel.matchAll(PLACES)].map(([, name]) => name!)
  );
  const unused = Object.keys(params).find((name) => !used.includes(name) && !inChannels.includes(name));
  if (unused !== undefined) throw new PlugboardError("bad_option", `the parameter ${unused} is not used`);
}

function readArgs(params: Readonly<Record<string, ParamType>>, value: unknown): Args {
  const given = value ?? {};
  if (!isRecord(given)) throw new RpcError(400, "The arguments must be an object");
  const sent = new Map(Object.entries(params).filter(([, type]) => type !== "user"));
  const unknown = Object.keys(given).find((name) => !sent.has(name));
  if (unknown !== undefined) throw new RpcError(400, `There is no parameter "${unknown}"`);
  return Object.fromEntries(Array.from(sent, ([name, type]) => [name, readArg(name, type, given[name])]));
}

function readArg(name: string, type: ParamType, value: unknown): JsonValue {
  const fits = {
    string: typeof value === "string",
    number: typeof value === "number" && Number.isFinite(value),
    integer: Number.isSafeInteger(value),
    boolean: typeof value === "boolean",
    user: false,
  };
  if (!fits[type]) {
    throw new RpcError(400, `The parameter "${name}" must be ${type === "integer" ? "an" : "a"} ${type}`);
  }
  return typeof value === "boolean" ? Number(value) : value as string | number;
}

function usersOf(params: Readonly<Record<string, ParamType>>, { identity }: Caller): Args {
  const names = Object.keys(params).filter((name) => params[name] === "user");
  if (names.length > 0 && !isProven(identity)) throw new PlugboardError("permission_denied", "Sign in first");
  return Object.fromEntries(names.map((name) => [name, identity.user]));
}

/** A value in a channel's name stays one part of it. */
function channelOf(pattern: string, values: JsonRow): string {
  return pattern.replaceAll(PLACES, (_, name) => {
    const value = valueOf(name, values);
    const text = value === null ? "" : String(value);
    if (text === "" || /[:#?$*]/.test(text)) {
      throw new RpcError(400, `"${name}" cannot be in a channel's name`);
    }
    return text;
  });
}

function fill(data: unknown, values: JsonRow): unknown {
  if (typeof data === "string") {
    const [, name] = data.match(/^\{(\w+)\}$/) ?? [];
    return name === undefined ? data : valueOf(name, values);
  }
  if (Array.isArray(data)) return data.map((each) => fill(each, values));
  if (!isRecord(data)) return data;
  return Object.fromEntries(Object.entries(data).map(([key, each]) => [key, fill(each, values)]));
}

function valueOf(name: string, values: JsonRow): JsonValue {
  if (!Object.hasOwn(values, name)) throw new RpcError(404, `There is no "${name}"`);
  return values[name]!;
}

function plain(row: Readonly<Record<string, Value>>): JsonRow {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, jsonOf(value)]));
}

/** JSON has no form for large integers and bytes. */
function jsonOf(value: Value): JsonValue {
  if (typeof value === "bigint") return String(value);
  return value instanceof Uint8Array ? value.toBase64() : value;
}
