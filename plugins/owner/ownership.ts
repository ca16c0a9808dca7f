/**
 * Ownership of a database: claims the lease again and again, and knows at each moment whether it is held.
 *
 * @module
 */

import { type Log, messageOf } from "../../core/mod.ts";
import type { KeyValues } from "../persistence.ts";
import type { Leases } from "../shared/lease.ts";

/** The name of the lease. */
const NAME = "database";
/** How often the lease is renewed within its time, and the part of this time that a node counts on. */
const RENEWALS = 4;
const CERTAIN = 0.75;

/** What ownership needs. */
export interface OwnershipParts {
  readonly leases: Leases;
  /** Keeps the tokens in the database itself, so that a copy of the file is not taken for the file. */
  readonly tokens: Pick<KeyValues<string>, "get" | "set" | "delete">;
  /** Where other nodes and proxies reach this one. */
  readonly address: string;
  readonly ttlMs: number;
  readonly log: Log;
  /** Another node has owned the database meanwhile. */
  readonly lost: () => void;
}

/** The ownership of a database by this node. */
export interface Ownership {
  /** Whether this node owns it now. */
  readonly held: boolean;
  /** Where another node owns it, or did last. */
  readonly owner: string | undefined;
  stop(): Promise<void>;
}

/** Begins to claim. Resolves after the first attempt. */
export async function ownership(parts: OwnershipParts): Promise<Ownership> {
  const { leases, tokens, address, ttlMs, log, lost } = parts;
  const holder = crypto.randomUUID();
  /** The token of this process. */
  let token: string | undefined;
  let owner: string | undefined;
  let certain: { readonly since: number; readonly wallTime: number } | undefined;
  let problem: string | undefined;
  let claiming: Promise<void> | undefined;

  /** A suspended machine may stop either clock. */
  const isCertain = () =>
    certain !== undefined &&
    Math.max(performance.now() - certain.since, Date.now() - certain.wallTime) < ttlMs * CERTAIN;

  /** Claims with a token that is in the database before it is in the lease. */
  async function claimAs(candidate: string, earlier: string | undefined): Promise<boolean> {
    const asked = { since: performance.now(), wallTime: Date.now() };
    // Redis may have lost its data. Then the owner begins again, and none that knows another owner.
    const claim = {
      name: NAME,
      holder,
      address,
      ttlMs,
      token: candidate,
      earlier,
      first: owner === undefined,
    };
    const result = await leases.claim(claim);
    if (result.state === "held") {
      if (candidate !== earlier) await tokens.set("confirmed", candidate);
      if (owner !== undefined || certain === undefined) log.info("this node owns the database", { address });
      [certain, owner] = [asked, undefined];
      return true;
    }
    if (owner === undefined) log.info("another node owns the database", { address: result.address });
    if (result.state === "superseded" && token !== undefined) {
      token = undefined;
      log.error("another node has owned the database meanwhile: this node disconnects its clients");
      lost();
    }
    [certain, owner] = [undefined, result.address || owner];
    return false;
  }

  /** A new process gets a new token, so that a process that was stopped meanwhile is superseded. */
  async function takeOver(): Promise<void> {
    const confirmed = tokens.get("confirmed");
    const pending = tokens.get("pending");
    // Whether the claim of an earlier process succeeded is not known.
    if (pending !== undefined && pending !== confirmed && !await claimAs(pending, confirmed)) return;
    const candidate = crypto.randomUUID();
    await tokens.set("pending", candidate);
    if (await claimAs(candidate, tokens.get("confirmed"))) token = candidate;
  }

  async function claim(): Promise<void> {
    try {
      if (token === undefined) await takeOver();
      else await claimAs(token, token);
      problem = undefined;
    } catch (error) {
      const message = messageOf(error);
      if (message !== problem) log.warn("the lease of the database was not renewed", { error: message });
      problem = message;
    }
  }

  await claim();
  // The lease has the system's time, also where a test has another one.
  const timer = setInterval(() => {
    claiming ??= claim().finally(() => claiming = undefined);
  }, ttlMs / RENEWALS);

  return {
    get held() {
      return token !== undefined && isCertain();
    },
    get owner() {
      return owner;
    },
    async stop() {
      clearInterval(timer);
      await claiming;
      if (token !== undefined) await leases.release({ name: NAME, holder }).catch(() => {});
      token = undefined;
    },
  };
}
