/**
 * What other plugins add to channels. A failing extension affects no other.
 *
 * @module
 */

import type { MaybePromise, Nothing } from "../../core/mod.ts";
import type { Namespace } from "./namespace.ts";
import type { ClientInfo, Draft, Publication, Published, PublishOptions } from "./publications.ts";
import type { Payload } from "../shared/payload.ts";
import type { Client, Subscribed, SubscribeGrant, SubscribeRequest, Subscription } from "./types.ts";

/** One publish, from the call to its result: every hook gets the same object. */
export interface Publishing {
  /** The channel's name. */
  readonly channel: string;
  /** The channel's namespace. */
  readonly namespace: Namespace;
  /** The publishing client; absent when the server publishes. */
  readonly client: Client | undefined;
  /** What is published. */
  readonly draft: Draft;
  /** When publish was called, by `performance.now()`. */
  readonly startedAt: number;
}

/** What an extension adds to the reply of a subscribe. */
export interface SubscribeAddition {
  /** What the client gets and may do in addition to its request. */
  readonly grant?: SubscribeGrant;
  /**
   * Returns JSON text for the client, when the subscription takes effect. With an `offset` it includes everything
   * published up to there, and only later publications follow. Not sent to a client that recovers everything.
   */
  data?(subscribed: Subscribed): { readonly json: string; readonly offset?: number } | undefined;
}

/** What an extension changes in a publish that it allows. */
export interface PublishChange {
  /** Published in place of the client's payload. */
  readonly payload?: Payload;
  /** Options in addition to the client's. */
  readonly options?: PublishOptions;
}

/** What a plugin does when something happens in channels. A throw of a hook named `before…` refuses. */
export interface ChannelExtension {
  /** The plugin's name, for the log. */
  readonly name: string;
  /** Before a client is subscribed; may also add data to the reply. */
  beforeSubscribe?(
    client: Client,
    channel: string,
    request: SubscribeRequest,
    namespace: Namespace,
  ): MaybePromise<SubscribeAddition | void>;
  /** Before a publish. Not `async`: it runs for every publish. */
  beforePublish?(publishing: Publishing): Nothing;
  /**
   * Decides about a client's publish when all `beforePublish` hooks have allowed it. `undefined` leaves it to the next
   * extension; a rejection refuses. Publications of one client to one channel keep their order meanwhile.
   */
  decidePublish?(publishing: Publishing): Promise<PublishChange | void> | undefined;
  /** A publish from this node has succeeded. */
  published?(publishing: Publishing, published: Published): Nothing;
  /** A publication was sent to this node's subscribers. */
  delivered?(
    channel: { readonly name: string; readonly namespace: Namespace },
    publication: Publication,
    receivers: number,
  ): Nothing;
  /** Before a client reads the history or the presence. Not `async`. */
  beforeRead?(client: Client, action: "history" | "presence", channel: string): Nothing;
  /** A client has subscribed; its reply is not sent yet. */
  joined?(client: Client, subscription: Subscription): Nothing;
  /** A client asked to recover; `complete` tells whether it gets everything that it missed, and `lost` why not. */
  recovered?(client: Client, channel: string, complete: boolean, lost: string | undefined): Nothing;
  /** A client's subscription has ended. */
  left?(client: Client, subscription: Subscription): Nothing;
  /** A client has another identity. Extensions that allow subscriptions decide again. */
  identified?(client: Client): Nothing;
  /** Others see something else of a subscriber: `subscription.info`. */
  informed?(client: Client, subscription: Subscription): Nothing;
  /** Returns the number of people in a channel, for the join or leave of a client. */
  people?(channel: string, client: ClientInfo): MaybePromise<number>;
  /** A channel has its first subscriber on this node. */
  occupied?(channel: string): Nothing;
  /** A channel has lost its last subscriber on this node. */
  vacated?(channel: string): Nothing;
}

type Hook = Exclude<keyof ChannelExtension, "name">;
/** Hooks that tell what has happened; unlike the others they cannot refuse. */
type Event = Exclude<Hook, `before${string}` | "decidePublish" | "people">;

/** Receives what failed, and the error. */
export type OnFailure = (what: string, error: unknown) => void;

/** The extensions of the channels. */
export class Extensions {
  readonly #all = new Set<ChannelExtension>();
  /** The extensions that have a hook, by hook. */
  readonly #having = new Map<Hook, readonly ChannelExtension[]>();
  readonly #failed: OnFailure;

  constructor(failed: OnFailure) {
    this.#failed = failed;
  }

  /** Adds an extension. Returns the function that removes it. */
  add(extension: ChannelExtension): () => void {
    this.#all.add(extension);
    this.#having.clear();
    return () => {
      this.#all.delete(extension);
      this.#having.clear();
    };
  }

  /** Calls all extensions; the first that throws refuses the subscription. */
  beforeSubscribe(
    client: Client,
    channel: string,
    request: SubscribeRequest,
    namespace: Namespace,
  ): MaybePromise<SubscribeAddition | undefined> {
    return additionOf(this.#with("beforeSubscribe"), [client, channel, request, namespace]);
  }

  /** Calls all extensions; the first that throws refuses the publish. */
  beforePublish(publishing: Publishing): void {
    for (const extension of this.#with("beforePublish")) extension.beforePublish!(publishing);
  }

  /** Returns the decision of the first extension that decides about this publish; `undefined` if none does. */
  decidePublish(publishing: Publishing): Promise<PublishChange | void> | undefined {
    for (const extension of this.#with("decidePublish")) {
      const decision = extension.decidePublish!(publishing);
      if (decision !== undefined) return decision;
    }
  }

  /** Calls all extensions; the first that throws refuses the read. */
  beforeRead(client: Client, action: "history" | "presence", channel: string): void {
    for (const extension of this.#with("beforeRead")) extension.beforeRead!(client, action, channel);
  }

  /** Returns the number of people in a channel, from the first extension that knows it. */
  people(channel: string, client: ClientInfo): MaybePromise<number | undefined> {
    return this.#with("people")[0]?.people?.(channel, client);
  }

  /** Calls a hook of all extensions that have it. */
  emit<E extends Event>(event: E, ...args: Parameters<NonNullable<ChannelExtension[E]>>): void {
    for (const extension of this.#with(event)) {
      try {
        (extension[event] as (...args: unknown[]) => Nothing).apply(extension, args);
      } catch (error) {
        this.#failed(`${event} of ${extension.name}`, error);
      }
    }
  }

  #with(hook: Hook): readonly ChannelExtension[] {
    let having = this.#having.get(hook);
    if (having === undefined) {
      having = [...this.#all].filter((extension) => extension[hook] !== undefined);
      this.#having.set(hook, having);
    }
    return having;
  }
}

/** Asks one extension after the other. A loop and not a chain, which would cost each subscribe several functions. */
function additionOf(
  extensions: readonly ChannelExtension[],
  asked: Parameters<NonNullable<ChannelExtension["beforeSubscribe"]>>,
  known?: SubscribeAddition,
): MaybePromise<SubscribeAddition | undefined> {
  let addition = known;
  for (let i = 0; i < extensions.length; i++) {
    const more = extensions[i]!.beforeSubscribe!(...asked);
    if (more instanceof Promise) {
      const [before, others] = [addition, extensions.slice(i + 1)];
      return more.then((more) => additionOf(others, asked, merged(before, more)));
    }
    addition = merged(addition, more);
  }
  return addition;
}

function merged(
  before: SubscribeAddition | undefined,
  more: SubscribeAddition | void,
): SubscribeAddition | undefined {
  return more === undefined ? before : { ...before, ...more };
}
