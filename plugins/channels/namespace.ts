import type { Broker, Retention } from "./broker.ts";

/** What a client can do with a channel. */
export type ChannelAction = "subscribe" | "publish" | "presence" | "history";

/**
 * Who may do something: `anyone`, including anonymous clients; a client that has `signed_in`; a current `subscriber` of
 * the channel; a client whose permissions include the channel (`permission`); or `nobody`. Of several rules, one must hold.
 * Channels whose name begins with `$` also require a grant or a permission that names them.
 */
export type Rule = "nobody" | "anyone" | "signed_in" | "subscriber" | "permission";

/** What the channels of a namespace offer. */
export interface NamespaceOptions {
  /** The number of publications kept; 0 keeps no history. @default {100} @minimum 0 */
  historySize?: number;
  /** How long each is kept. @default {300000} five minutes @minimum 0 */
  historyMs?: number;
  /** Whether subscribers can be listed. @default {true} */
  presence?: boolean;
  /**
   * Who receives joins and leaves: clients that `ask` and may list who is present, `all` subscribers, or nobody (`off`).
   * @default {"ask"}
   */
  joinLeave?: "off" | "ask" | "all";
  /**
   * The number of subscribers above which joins and leaves are not sent; each costs one message per subscriber.
   * @default {500} @minimum 0
   */
  joinLeaveLimit?: number;
  /**
   * Which clients that reconnect get what they missed: all that may read the history (`readers`), those of them that
   * `request` it, all subscribers (`always`), or none (`off`). @default {"readers"}
   */
  recovery?: "off" | "request" | "readers" | "always";
  /** `stream` recovers every publication, `cache` only the latest. @default {"stream"} */
  recoveryMode?: "stream" | "cache";
  /** The maximum number of publications in one recovery; a client that missed more cannot recover. @default {300} */
  recoveryLimit?: number;
  /**
   * What is published: one JSON value each, or any bytes (`binary`). A client that speaks JSON is closed if it would receive
   * bytes that are no JSON. @default {"json"}
   */
  payloads?: "json" | "binary";
  /**
   * Asks the SDK for JavaScript to publish at most once in so many milliseconds, the latest of what an app publishes; 0 asks
   * for nothing. @default {0} @minimum 0
   */
  publishDebounceMs?: number;
  /**
   * Whether subscribers that ask for it receive what has changed since the publication before instead of all of it: in
   * the format `fossil`, or never (`off`). It needs a history. @default {"off"}
   */
  delta?: "off" | "fossil";
  /**
   * The maximum number of different tag filters of a channel's subscribers; 0 allows none. Each is evaluated once for a
   * publication, however many subscribers share it. @default {0} @minimum 0
   */
  maxTagFilters?: number;
  /** Whether publications carry a number in place of the channel's name, to clients that understand it. @default {false} */
  compaction?: boolean;
  /** Stores the history of this namespace. @default {the broker of all channels} */
  broker?: Broker;
  /** Who may subscribe. @default {"permission"} */
  subscribe?: Rule | readonly Rule[];
  /** Who may publish. @default {"permission"} */
  publish?: Rule | readonly Rule[];
  /** Who may list the subscribers. @default {"permission"} */
  presenceAccess?: Rule | readonly Rule[];
  /** Who may read the history. @default {"permission"} */
  historyAccess?: Rule | readonly Rule[];
  /** The maximum bytes of a channel's name. @default {as for all channels} */
  maxNameBytes?: number;
}

/** A namespace with all defaults filled in. */
export interface Namespace
  extends Required<Omit<NamespaceOptions, "subscribe" | "publish" | "presenceAccess" | "historyAccess">> {
  /** The part of a channel's name before the first `:`; empty for all other channels. */
  readonly name: string;
  /** Stores the history. */
  readonly broker: Broker;
  /** How much history is kept; absent when none is. */
  readonly keep: Retention | undefined;
  /** Who may do what. */
  readonly rules: Readonly<Record<ChannelAction, readonly Rule[]>>;
}
