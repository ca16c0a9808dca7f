/**
 * Namespaces: what a channel offers and to whom, by the part of its name before the first `:`.
 *
 * @module
 */

import { checkOptions, exceedsBytes, PlugboardError } from "../../core/mod.ts";
import type { Identity, Verb, Verdict } from "../shared/identity.ts";
import { shownName } from "../shared/shown_name.ts";
import type { Broker } from "./broker.ts";
import type { ChannelAction, Namespace, NamespaceOptions, Rule } from "./namespace.ts";
import type { Subscription } from "./types.ts";

const DEFAULTS = {
  historySize: 100,
  historyMs: 300_000,
  presence: true,
  joinLeave: "ask",
  joinLeaveLimit: 500,
  recovery: "readers",
  recoveryMode: "stream",
  recoveryLimit: 300,
  payloads: "json",
  publishDebounceMs: 0,
  delta: "off",
  maxTagFilters: 0,
  compaction: false,
  subscribe: "permission",
  publish: "permission",
  presenceAccess: "permission",
  historyAccess: "permission",
} as const satisfies Required<Omit<NamespaceOptions, "broker" | "maxNameBytes">>;

/** Finds a channel's namespace. */
export interface Namespaces {
  /** Every broker in use, each once. */
  readonly brokers: ReadonlySet<Broker>;
  /** Whether there is a namespace with this name. */
  has(name: string): boolean;
  /** Adds a namespace; throws if there is one with this name. */
  add(name: string, options: NamespaceOptions): Namespace;
  /**
   * Checks other namespaces. Returns the function that replaces those of the options; it returns the namespaces that are gone.
   * Their objects stay the same, so channels in use follow.
   */
  prepare(given: NamespaceChange): () => Namespace[];
  /** Returns a channel's namespace; throws if the name is invalid, or unknown where only known ones are allowed. */
  of(channel: string): Namespace;
}

/** Other options of namespaces. */
export interface NamespaceChange {
  /** The namespaces. */
  readonly namespaces: Readonly<Record<string, NamespaceOptions>>;
  /** Options of channels without a namespace, and defaults for the namespaces. */
  readonly defaults: NamespaceOptions;
}

/** Checks the options and creates the namespaces. */
export function prepareNamespaces(
  { broker, defaults = {}, namespaces = {}, onlyKnown = false, maxNameBytes }: {
    broker: Broker;
    defaults: NamespaceOptions | undefined;
    namespaces: Record<string, NamespaceOptions> | undefined;
    onlyKnown: boolean | undefined;
    maxNameBytes: number;
  },
): Namespaces {
  let all = { broker, maxNameBytes, ...defaults };
  const fallback = namespace("", all);
  const known = new Map(
    Object.entries(namespaces).map(([name, options]) => [name, namespace(name, { ...all, ...options })]),
  );
  const brokers = new Set([broker, fallback.broker, ...Array.from(known.values(), (each) => each.broker)]);
  /** The namespaces of the options; plugins have added the others. */
  let listed = new Set(known.keys());
  return {
    brokers,
    has: (name) => known.has(name),
    add(name, options) {
      checkOptions("channels").that(!known.has(name), "namespaces", `without another "${name}"`, name);
      const added = namespace(name, { ...all, ...options });
      known.set(name, added);
      return added;
    },
    prepare(given) {
      const base = { broker, maxNameBytes, ...given.defaults };
      const next = new Map(
        Object.entries(given.namespaces).map(([name, each]) => [name, namespace(name, { ...base, ...each })]),
      );
      for (const [name, { broker }] of next) {
        const check = checkOptions("channels");
        check.that(listed.has(name) || !known.has(name), "namespaces", `without another "${name}"`, name);
        const same = brokers.has(broker) && (known.get(name)?.broker ?? broker) === broker;
        check.that(same, `namespaces.${name}`, "stored as before, until a restart", "another store");
      }
      const other = namespace("", base);
      return () => {
        all = base;
        Object.assign(fallback, other);
        const gone = [...listed].flatMap((name) => next.has(name) ? [] : known.get(name)!);
        for (const { name } of gone) known.delete(name);
        for (const [name, each] of next) known.set(name, Object.assign(known.get(name) ?? {}, each));
        listed = new Set(next.keys());
        return gone;
      };
    },
    of(channel) {
      const start = channel.startsWith("$") ? 1 : 0;
      const colon = channel.indexOf(":", start);
      const found = colon === -1 ? undefined : known.get(channel.slice(start, colon));
      checkName(channel, (found ?? fallback).maxNameBytes);
      if (colon === -1) return fallback;
      if (found !== undefined) return found;
      if (onlyKnown) throw new PlugboardError("unknown_channel", `Unknown channel: ${shownName(channel)}`);
      return fallback;
    },
  };
}

function namespace(
  name: string,
  given: NamespaceOptions & { broker: Broker; maxNameBytes: number },
): Namespace {
  const options = { ...DEFAULTS, ...given };
  const { historySize, historyMs, subscribe, publish, presenceAccess, historyAccess, ...rest } = options;
  const valid = !name.includes(":") && !name.startsWith("$") && !INVALID.test(name);
  const rule = "the part of a channel's name before the colon, without the $ of a private channel";
  checkOptions("channels").that(valid, "namespaces", rule, name);
  const check = checkOptions(name === "" ? "channels" : `the channel namespace "${name}"`);
  check.wholeNumber("historySize", historySize);
  check.wholeNumber("historyMs", historyMs);
  check.wholeNumber("joinLeaveLimit", rest.joinLeaveLimit);
  check.wholeNumber("maxTagFilters", rest.maxTagFilters);
  check.positiveInteger("recoveryLimit", rest.recoveryLimit);
  check.positiveInteger("maxNameBytes", rest.maxNameBytes);
  check.oneOf("joinLeave", rest.joinLeave, ["off", "ask", "all"]);
  check.oneOf("recovery", rest.recovery, ["off", "request", "readers", "always"]);
  check.oneOf("recoveryMode", rest.recoveryMode, ["stream", "cache"]);
  check.wholeNumber("publishDebounceMs", rest.publishDebounceMs);
  check.oneOf("payloads", rest.payloads, ["json", "binary"]);
  check.oneOf("delta", rest.delta, ["off", "fossil"]);
  const rules = { subscribe, publish, presence: presenceAccess, history: historyAccess };
  for (const [action, rule] of Object.entries(rules)) {
    for (const one of [rule].flat()) check.oneOf(action, one, RULES);
  }
  const lists = Object.fromEntries(Object.entries(rules).map(([action, rule]) => [action, [rule].flat()]));
  return {
    ...rest,
    historySize,
    historyMs,
    name,
    keep: historySize > 0 && historyMs > 0 ? { size: historySize, ageMs: historyMs } : undefined,
    rules: lists as Record<ChannelAction, Rule[]>,
  };
}

const RULES: readonly Rule[] = ["nobody", "anyone", "signed_in", "subscriber", "permission"];

const VERBS: Record<ChannelAction, Verb> = {
  subscribe: "read",
  publish: "write",
  presence: "read",
  history: "read",
};

/**
 * Decides by the rules of a namespace. A private channel, whose name begins with `$`, demands more: a permission that
 * names it, or a subscription that was granted. With the latter the rules decide as for the channel without the `$`.
 */
export function decide(
  namespace: Namespace,
  action: ChannelAction,
  channel: string,
  identity: Identity,
  subscription?: Pick<Subscription, "granted" | "allow">,
): Verdict {
  if (!offers(namespace, action)) return { allowed: false, rule: `no ${action} in this namespace` };
  if (!mayName(identity.user, channel)) return OTHER_USERS;
  if (subscription?.allow?.includes(action)) return GRANTED;
  const isPrivate = channel.startsWith("$");
  const granted = isPrivate && subscription?.granted === true;
  const permitted = identity.can(VERBS[action], channel);
  if (isPrivate && !granted && !permitted) return PRIVATE;
  const rules = namespace.rules[action];
  for (const rule of rules) {
    const holds = rule === "anyone" ||
      rule === "signed_in" && identity.user !== "" && !identity.anonymous ||
      rule === "subscriber" && subscription !== undefined ||
      rule === "permission" && (permitted || granted && identity.can(VERBS[action], channel.slice(1)));
    if (holds) return ALLOWED[rule];
  }
  return { allowed: false, rule: rules.join(", ") };
}

/** Whether the channels of a namespace have what an action needs. */
export function offers({ keep, presence }: Namespace, action: ChannelAction): boolean {
  return action === "history" ? keep !== undefined : action !== "presence" || presence;
}

/** Shared, so that a publish allocates none. */
const ALLOWED = Object.fromEntries(RULES.map((rule) => [rule, { allowed: true, rule }])) as Record<
  Rule,
  Verdict
>;
const GRANTED: Verdict = { allowed: true, rule: "grant of the subscription" };
const OTHER_USERS: Verdict = { allowed: false, rule: "users in the channel's name" };
const PRIVATE: Verdict = { allowed: false, rule: "private channel" };

/** A name may end in `#` and a list of user ids: only these users may use the channel, as in `dialog#42,43`. */
function mayName(user: string, channel: string): boolean {
  const hash = channel.lastIndexOf("#");
  if (hash === -1) return true;
  return user !== "" && channel.slice(hash + 1).split(",").includes(user);
}

/**
 * Returns a user's own channel, which no other user may use.
 *
 * ```ts
 * import { Server } from "@plugboard/server";
 * import { channels, personalChannel } from "@plugboard/server/channels";
 *
 * const server = new Server({ port: 0 });
 * const bus = server.use(channels());
 * await bus.publish(personalChannel("ann"), { title: "For Ann alone" });
 * ```
 */
export function personalChannel(user: string): string {
  return `#${user}`;
}

// deno-lint-ignore no-control-regex -- names must not have them
const INVALID = /[\u0000-\u001f\u007f\u2028\u2029]|\.\.|^\/|\/\/|\/$|\\|\p{Surrogate}/u;

/** Throws for an invalid name. Parameters after a `?` may have all characters except control characters. */
function checkName(channel: string, maxBytes: number): void {
  const question = channel.indexOf("?");
  const name = question === -1 ? channel : channel.slice(0, question);
  const invalid = name === "" || INVALID.test(name) || question !== -1 && INVALID_PARAMETERS.test(channel);
  if (invalid || exceedsBytes(channel, maxBytes)) {
    throw new PlugboardError("bad_request", "Invalid channel name format");
  }
}

// deno-lint-ignore no-control-regex -- names must not have them
const INVALID_PARAMETERS = /[\u0000-\u001f\u007f\u2028\u2029]|\p{Surrogate}/u;
