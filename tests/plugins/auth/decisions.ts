import type { ChannelAction, NamespaceOptions, Rule } from "../../../plugins/channels.ts";

/** What clients do with channels. */
export const ACTIONS: readonly ChannelAction[] = ["subscribe", "publish", "presence", "history"];

const RULES: readonly Rule[] = ["nobody", "anyone", "signed_in", "subscriber", "permission"];

/** A namespace for each rule, which decides everything there. */
export const NAMESPACES: Record<string, NamespaceOptions> = Object.fromEntries(RULES.map((rule) => {
  return [rule, { subscribe: rule, publish: rule, presenceAccess: rule, historyAccess: rule }];
}));

/** Every action by every rule. */
export const QUESTIONS: readonly (readonly [ChannelAction, Rule])[] = RULES.flatMap((rule) => {
  return ACTIONS.map((action) => [action, rule] as const);
});

/** Somebody, and what their permissions say of the channel `permission:x`. */
export interface Somebody {
  readonly name: string;
  /** Their token's; without any they are anonymous. */
  readonly claims: Record<string, unknown> | undefined;
  readonly reads: boolean;
  readonly writes: boolean;
}

const somebody = (
  name: string,
  claims: Record<string, unknown> | undefined,
  [reads, writes]: readonly [boolean, boolean],
): Somebody => ({ name, claims, reads, writes });

const user = (permissions: string[]) => ({ sub: "alice", permissions });

/** Everybody there is. */
export const IDENTITIES: readonly Somebody[] = [
  somebody("somebody anonymous", undefined, [true, false]),
  somebody("a user as they come", { sub: "alice" }, [true, true]),
  somebody("a reader", user(["read:*"]), [true, false]),
  somebody("a writer", user(["write:*"]), [false, true]),
  somebody("a user without permissions", user([]), [false, false]),
  somebody("a user of this namespace", user(["read:permission:*", "write:permission:x"]), [true, true]),
  somebody("a user of another namespace", user(["read:other:*", "write:other:*"]), [false, false]),
  somebody("a user of a longer name", user(["read:permission:x:*", "write:permission:xx"]), [false, false]),
  somebody("a user of all channels", user(["*"]), [true, true]),
  somebody("an admin", user(["admin"]), [true, true]),
];

/** Whether somebody who is not subscribed may do this where the rule decides. */
export function allowed({ claims, reads, writes }: Somebody, action: ChannelAction, rule: Rule): boolean {
  if (rule === "permission") return action === "publish" ? writes : reads;
  return rule === "anyone" || rule === "signed_in" && claims !== undefined;
}
