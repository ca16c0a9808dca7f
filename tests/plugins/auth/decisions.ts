import type { ChannelAction, NamespaceOptions, Rule } from "../../../plugins/channels.ts";

/** The actions of clients on channels. */
export const ACTIONS: readonly ChannelAction[] = ["subscribe", "publish", "presence", "history"];

const RULES: readonly Rule[] = ["nobody", "anyone", "signed_in", "subscriber", "permission"];

/** A namespace for each rule, which applies to all actions. */
export const NAMESPACES: Record<string, NamespaceOptions> = Object.fromEntries(RULES.map((rule) => {
  return [rule, { subscribe: rule, publish: rule, presenceAccess: rule, historyAccess: rule }];
}));

/** Every action with every rule. */
export const QUESTIONS: readonly (readonly [ChannelAction, Rule])[] = RULES.flatMap((rule) => {
  return ACTIONS.map((action) => [action, rule] as const);
});

/** A test client, and its permissions on the channel `permission:x`. */
export interface TestIdentity {
  readonly name: string;
  /** The claims of its token; without a token it is anonymous. */
  readonly claims: Record<string, unknown> | undefined;
  readonly reads: boolean;
  readonly writes: boolean;
}

const identity = (
  name: string,
  claims: Record<string, unknown> | undefined,
  [reads, writes]: readonly [boolean, boolean],
): TestIdentity => ({ name, claims, reads, writes });

const user = (permissions: string[]) => ({ sub: "alice", permissions });

/** All test clients. */
export const IDENTITIES: readonly TestIdentity[] = [
  identity("an anonymous client", undefined, [true, false]),
  identity("a user without listed permissions", { sub: "alice" }, [true, true]),
  identity("a reader", user(["read:*"]), [true, false]),
  identity("a writer", user(["write:*"]), [false, true]),
  identity("a user without permissions", user([]), [false, false]),
  identity("a user of this namespace", user(["read:permission:*", "write:permission:x"]), [true, true]),
  identity("a user of another namespace", user(["read:other:*", "write:other:*"]), [false, false]),
  identity("a user of a longer name", user(["read:permission:x:*", "write:permission:xx"]), [false, false]),
  identity("a user of all channels", user(["*"]), [true, true]),
  identity("an admin", user(["admin"]), [true, true]),
];

/** Whether the rule allows the action to a client that is not subscribed. */
export function allowed({ claims, reads, writes }: TestIdentity, action: ChannelAction, rule: Rule): boolean {
  if (rule === "permission") return action === "publish" ? writes : reads;
  return rule === "anyone" || rule === "signed_in" && claims !== undefined;
}
