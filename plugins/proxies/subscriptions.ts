/**
 * Subscriptions that the backend decides about, and their renewal.
 *
 * @module
 */

import type { Host } from "../../core/mod.ts";
import type { ChannelAction, Client, SubscribeGrant, SubscribeRequest } from "../channels.ts";
import { BackendError } from "../shared/backend_error.ts";
import { accountOf } from "../shared/identity.ts";
import { readGrant } from "../shared/subscribe_options.ts";
import { ask, askOrAllow, type ClientContext } from "./asking.ts";
import type { Backend } from "./backend.ts";
import { bad, type Reply } from "./reply.ts";
import { Schedule } from "./schedule.ts";
import { PROLONG_MS } from "./sign_ins.ts";

/** A subscription that expires. */
interface Expiring {
  readonly client: Client;
  readonly channel: string;
  readonly context: ClientContext;
  readonly refresh: Backend | undefined;
  readonly grant: SubscribeGrant;
}

/** The SDK subscribes again after this one. */
const expired = { code: 2501, reason: "expired" };

const ACTIONS: Readonly<Record<string, ChannelAction>> = { pub: "publish", hst: "history", prs: "presence" };

/** Decides about subscriptions, and renews them. */
export class Subscriptions {
  readonly #schedule = new Schedule<Expiring>();
  /** By client and channel. */
  readonly #expiring = new Map<string, Map<string, Expiring>>();

  /** Asks whether a client may subscribe. `refresh` renews the subscription later. */
  async decide(
    backend: Backend,
    refresh: Backend | undefined,
    context: ClientContext,
    client: Client,
    channel: string,
    { data }: SubscribeRequest,
  ): Promise<SubscribeGrant | undefined> {
    const { identity, conn } = client;
    const decided = await askOrAllow({
      backend,
      context,
      account: accountOf(identity, conn.ip),
      members: { user: identity.user, channel, data },
      read: answerIn,
    });
    if (decided === undefined) return undefined;
    const { grant, expiresAt } = decided;
    if (expiresAt !== undefined && conn.open) {
      this.#set({ client, channel, context, refresh, grant }, expiresAt);
    }
    return grant;
  }

  left(client: string, channel: string): void {
    const expiring = this.#expiring.get(client);
    const found = expiring?.get(channel);
    if (found === undefined) return;
    this.#schedule.delete(found);
    expiring!.delete(channel);
    if (expiring!.size === 0) this.#expiring.delete(client);
  }

  closed(client: string): void {
    for (const found of this.#expiring.get(client)?.values() ?? []) this.#schedule.delete(found);
    this.#expiring.delete(client);
  }

  /** Renews the subscriptions that are due. */
  sweep({ clock, log }: Host): void {
    for (const expiring of this.#schedule.take(clock.wallTime())) {
      this.#renew(expiring, clock).catch((error) =>
        log.error("a subscription could not be renewed", { error })
      );
    }
  }

  #set(expiring: Expiring, at: number): void {
    const { client: { id }, channel } = expiring;
    this.left(id, channel);
    this.#expiring.getOrInsertComputed(id, () => new Map()).set(channel, expiring);
    this.#schedule.set(expiring, at);
  }

  async #renew(expiring: Expiring, clock: Host["clock"]): Promise<void> {
    const { client, channel, context, refresh, grant } = expiring;
    if (!client.subscriptions.has(channel)) return this.left(client.id, channel);
    if (refresh === undefined) return void client.expel(channel, expired);
    const { identity, conn } = client;
    let next: { readonly grant: SubscribeGrant; readonly expiresAt: number | undefined };
    try {
      const renewed = await ask({
        backend: refresh,
        context,
        account: accountOf(identity, conn.ip),
        limited: false,
        members: { user: identity.user, channel },
        read: (reply) => reply === undefined || reply.flag("expired") ? undefined : answerIn(reply),
      });
      if (renewed === undefined) return void client.expel(channel, expired);
      next = { ...renewed, grant: { ...grant, ...renewed.grant } };
      if (renewed.grant.chanInfo !== undefined) client.renew(channel, next.grant);
    } catch (error) {
      if (error instanceof BackendError && !error.temporary) return void client.expel(channel, expired);
      next = { grant, expiresAt: clock.wallTime() + PROLONG_MS };
    }
    // It may have ended meanwhile, or even begun again.
    if (this.#expiring.get(client.id)?.get(channel) !== expiring) return;
    if (next.expiresAt === undefined) this.left(client.id, channel);
    else this.#set({ ...expiring, grant: next.grant }, next.expiresAt);
  }
}

function answerIn(reply: Reply | undefined): { grant: SubscribeGrant; expiresAt: number | undefined } {
  if (reply === undefined) return { grant: {}, expiresAt: undefined };
  const allow = (reply.texts("allow") ?? []).flatMap((each) => ACTIONS[each] ?? []);
  const data = reply.json("data");
  const grant = {
    ...readGrant(reply.members, bad),
    ...(data !== undefined && { data }),
    ...(allow.length > 0 && { allow }),
  };
  return { grant, expiresAt: reply.time("expire_at") };
}
