/**
 * Sign-ins that the backend decides about, and their renewal.
 *
 * @module
 */

import { closeCodes, type Connection, type Host, networkOf } from "../../core/mod.ts";
import type { BackendUser, ConnectQuestion, Renewal, SignIn } from "../auth.ts";
import type { SubscribeRequest } from "../channels.ts";
import { BackendError } from "../shared/backend_error.ts";
import { accountOf } from "../shared/identity.ts";
import { isRecord } from "../shared/records.ts";
import { readGrant } from "../shared/subscribe_options.ts";
import { ask, askOrAllow, type ClientContext } from "./asking.ts";
import type { Backend } from "./backend.ts";
import { bad, type Reply } from "./reply.ts";
import { Schedule } from "./schedule.ts";

/** How long a sign-in or a subscription continues that cannot be renewed now. */
export const PROLONG_MS = 60_000;

/** The state of a sign-in by the backend. */
class Session {
  readonly expiresAt: number | undefined;

  constructor(expiresAt: number | undefined) {
    this.expiresAt = expiresAt;
  }
}

/** A connection whose sign-in expires. */
interface Expiring {
  readonly conn: Connection;
  readonly context: ClientContext;
  readonly signIn: SignIn;
  renew(renewal: Renewal): void;
}

/** Signs clients in, and renews their sign-ins. */
export class SignIns {
  readonly #connect: Backend | undefined;
  readonly #refresh: Backend | undefined;
  readonly #schedule = new Schedule<Expiring>();
  readonly #expiring = new Map<Connection, Expiring>();

  constructor(connect: Backend | undefined, refresh: Backend | undefined) {
    this.#connect = connect;
    this.#refresh = refresh;
  }

  /** Asks who a client is. */
  async connect({ ip, about }: ConnectQuestion, context: ClientContext): Promise<BackendUser | undefined> {
    const { data, name, version, channels } = about;
    return await askOrAllow({
      backend: this.#connect!,
      context,
      account: networkOf(ip),
      limited: false, // Many users may share an address; the kernel limits the connections from it.
      members: {
        data,
        name: name || undefined,
        version: version || undefined,
        channels: channels?.length ? channels : undefined,
      },
      read: (reply) => reply && userIn(reply),
    });
  }

  /** A connection has signed in. */
  connected(conn: Connection, context: ClientContext, signIn: SignIn, renew: Expiring["renew"]): void {
    const { session } = signIn;
    if (!(session instanceof Session) || session.expiresAt === undefined) return;
    const expiring = { conn, context, signIn, renew };
    this.#expiring.set(conn, expiring);
    this.#schedule.set(expiring, session.expiresAt);
  }

  closed(conn: Connection): void {
    const expiring = this.#expiring.get(conn);
    if (expiring === undefined) return;
    this.#expiring.delete(conn);
    this.#schedule.delete(expiring);
  }

  /** Renews the sign-ins that are due. */
  sweep({ clock, log }: Host): void {
    for (const expiring of this.#schedule.take(clock.wallTime())) {
      this.#renew(expiring, clock).catch((error) => log.error("a sign-in could not be renewed", { error }));
    }
  }

  async #renew(expiring: Expiring, clock: Host["clock"]): Promise<void> {
    const { conn, context, signIn: { identity }, renew } = expiring;
    // Without a backend to ask, the client connects again, and the other backend is asked.
    if (this.#refresh === undefined) return conn.close(closeCodes.connectionExpired);
    let expiresAt: number | undefined;
    try {
      const renewed = await ask({
        backend: this.#refresh,
        context,
        account: accountOf(identity, conn.ip),
        limited: false,
        members: { user: identity.user },
        read: renewalIn,
      });
      if (!conn.open) return;
      if (renewed === undefined) return conn.close(closeCodes.connectionExpired);
      expiresAt = renewed.expiresAt;
      if (renewed.change.meta !== undefined) context.meta = renewed.change.meta;
      renew(renewed.change);
    } catch (error) {
      if (error instanceof BackendError && !error.temporary) conn.close(closeCodes.connectionExpired);
      expiresAt = clock.wallTime() + PROLONG_MS;
    }
    if (conn.open && expiresAt !== undefined) this.#schedule.set(expiring, expiresAt);
    else this.#expiring.delete(conn);
  }
}

function userIn(reply: Reply): BackendUser {
  const { user = "", info, meta, caps } = reply.members;
  if (typeof user !== "string") throw bad("user must be a string");
  const data = reply.json("data");
  const shown = info === undefined ? reply.payload("info")?.asJson().value() : info;
  const permissions = reply.texts("permissions") ?? (caps === undefined ? undefined : permissionsOf(caps));
  return {
    user,
    session: new Session(reply.time("expire_at")),
    channels: channelsIn(reply),
    ...(permissions !== undefined && { permissions }),
    ...(shown !== undefined && { info: shown }),
    ...(meta !== undefined && { meta }),
    ...(data !== undefined && { data }),
  };
}

function channelsIn(reply: Reply): Map<string, SubscribeRequest> {
  const all = new Map<string, SubscribeRequest>();
  for (const name of reply.texts("channels") ?? []) all.set(name, { serverSide: true, grant: {} });
  const { subs = {} } = reply.members;
  if (!isRecord(subs)) throw bad("subs must be an object");
  for (const [name, about] of Object.entries(subs)) {
    if (!isRecord(about)) throw bad("each of subs must be an object");
    const { expire_at: at = 0 } = about;
    if (typeof at !== "number") throw bad("expire_at must be a time");
    const grant = { ...readGrant(about, bad), ...(at > 0 && { expiresAt: at * 1000 }) };
    all.set(name, { serverSide: true, grant });
  }
  return all;
}

/** Turns capabilities into permissions: `sub` reads, `pub` writes. */
function permissionsOf(caps: unknown): string[] {
  if (!Array.isArray(caps)) throw bad("caps must be a list");
  return caps.flatMap((cap) => {
    const { channels, allow, match = "" } = isRecord(cap) ? cap : {};
    if (!Array.isArray(channels) || !Array.isArray(allow)) {
      throw bad("each of caps must have channels and allow");
    }
    if (match !== "" && match !== "wildcard") throw bad("caps can match by name or by wildcard");
    return channels.flatMap((channel) => {
      if (match === "" && String(channel).includes("*")) {
        throw bad("a channel of caps has a * without a wildcard");
      }
      return [
        ...(allow.includes("sub") ? [`read:${channel}`] : []),
        ...(allow.includes("pub") ? [`write:${channel}`] : []),
      ];
    });
  });
}

function renewalIn(reply: Reply | undefined): { expiresAt: number | undefined; change: Renewal } | undefined {
  if (reply === undefined || reply.flag("expired")) return undefined;
  const { info, meta } = reply.members;
  const shown = info === undefined ? reply.payload("info")?.asJson().value() : info;
  return {
    expiresAt: reply.time("expire_at"),
    change: { ...(shown !== undefined && { info: shown }), ...(meta !== undefined && { meta }) },
  };
}
