/**
 * Subscribing without a gap: the reply has a position, and the client gets every later publication once.
 *
 * A subscription is prepared first: the broker may answer later, and what arrives meanwhile is buffered. Then it begins
 * and is answered in one step. Then it gets what was buffered.
 *
 * @module
 */

import { type MaybePromise, PlugboardError } from "../../core/mod.ts";
import type { Channel } from "./channel.ts";
import type { SubscribeAddition } from "./extensions.ts";
import type { ClientInfo, History, Position, Publication } from "./publications.ts";
import type { Client, Subscribed, SubscribeRequest, Subscription } from "./types.ts";

/** A subscription that is ready to begin. */
export interface Prepared {
  readonly channel: Channel;
  readonly subscription: Subscription;
  /** Returns the answer. Nothing may be awaited between this call and {@linkcode Prepared.later}. */
  begin(): Subscribed;
  /** Returns what was published after the answered position. */
  later(): Publication[];
  /** Gives up. */
  cancel(): void;
}

/** What {@linkcode prepare} works with. */
export interface Preparing {
  readonly channel: Channel;
  readonly request: SubscribeRequest;
  readonly client: Pick<Client, "conn" | "info">;
  readonly now: number;
  readonly addition: SubscribeAddition | undefined;
  /** Subscribes this node at the broker. */
  readonly subscribe: (channel: Channel) => MaybePromise<void>;
}

/** Prepares a subscription: subscribes at the broker and reads the history that the answer needs. */
export async function prepare(
  { channel, request, client: { conn, info }, now, addition, subscribe }: Preparing,
): Promise<Prepared> {
  const buffer = channel.startBuffer();
  try {
    const subscribing = subscribe(channel);
    if (subscribing !== undefined) await subscribing;
    const subscription = describe(channel, request, info, now);
    const page = readPage(channel, request, subscription);
    const history = page instanceof Promise ? await page : page;
    const read = answer(channel, request, subscription, history);
    if (request.mustRecover && read.wasRecovering && !read.recovered) {
      throw new PlugboardError("unrecoverable_position", "Publications after this position are lost");
    }
    let covered = history?.top;
    return {
      channel,
      subscription,
      begin() {
        const added = addition?.data?.(read);
        const offset = added?.offset;
        if (covered !== undefined && offset !== undefined) covered = { ...covered, offset };
        if (covered !== undefined) channel.setPosition(conn, lastPosition(buffer, covered));
        return {
          ...read,
          ...(added !== undefined && { data: added.json }),
          ...(covered !== undefined && offset !== undefined && { position: covered }),
        };
      },
      later() {
        channel.endBuffer(buffer);
        const from = covered;
        if (from === undefined) return [];
        return buffer.flatMap(({ publication, epoch }) =>
          epoch === from.epoch && publication.offset > from.offset ? [publication] : []
        );
      },
      cancel: () => channel.endBuffer(buffer),
    };
  } catch (error) {
    channel.endBuffer(buffer);
    throw error;
  }
}

/** Returns the position after everything in a buffer. */
function lastPosition(
  buffer: readonly { publication: Publication; epoch: string }[],
  covered: Position,
): Position {
  const last = buffer.at(-1);
  if (last === undefined || last.epoch !== covered.epoch || last.publication.offset < covered.offset) {
    return covered;
  }
  return { offset: last.publication.offset, epoch: last.epoch };
}

function describe(
  { name, namespace }: Channel,
  { grant, recoverable: asked, recover, positioned, joinLeave, serverSide, resumed }: SubscribeRequest,
  info: ClientInfo,
  now: number,
): Subscription {
  const { keep, recovery } = namespace;
  const allowed = keep !== undefined && recovery !== "off";
  const recoverable = allowed && (recovery === "always" || asked === true || recover !== undefined);
  return {
    channel: name,
    namespace,
    info: grant?.chanInfo === undefined ? info : { ...info, chanInfo: grant.chanInfo },
    recoverable,
    positioned: recoverable || (allowed && positioned === true),
    joinLeave: namespace.joinLeave === "all" || (namespace.joinLeave === "ask" && joinLeave === true),
    serverSide: serverSide === true || resumed === true,
    granted: serverSide === true || grant !== undefined,
    since: now,
    expiresAt: grant?.expiresAt,
  };
}

/** Reads the part of the history that the answer needs; none without positioning. */
function readPage(
  { name, namespace: { broker, keep, recoveryMode, recoveryLimit } }: Channel,
  { recover }: SubscribeRequest,
  { positioned, recoverable }: Subscription,
): MaybePromise<History> | undefined {
  if (!positioned) return undefined;
  if (recover === undefined || !recoverable) return broker.history(name, { limit: 0 }, keep!);
  if (recoveryMode === "cache") return broker.history(name, { limit: 1, reverse: true }, keep!);
  return broker.history(name, { since: recover, limit: recoveryLimit + 1 }, keep!);
}

function answer(
  { namespace }: Channel,
  { recover, grant }: SubscribeRequest,
  { positioned, recoverable, expiresAt }: Subscription,
  history: History | undefined,
): Subscribed {
  const wasRecovering = recover !== undefined && recoverable;
  const missed = wasRecovering ? missedSince(recover, history!, namespace) : undefined;
  return {
    recoverable,
    positioned,
    wasRecovering,
    recovered: missed !== undefined,
    publications: missed?.publications ?? [],
    ...(history !== undefined && { position: missed?.position ?? history.top }),
    ...(grant?.data !== undefined && { data: grant.data }),
    ...(expiresAt !== undefined && { expiresAt }),
  };
}

/** Returns what a client at a position has missed, and the position to answer; `undefined` if some of it is lost. */
function missedSince(
  from: Position,
  { publications, top }: History,
  { recoveryMode, recoveryLimit }: Channel["namespace"],
): { publications: readonly Publication[]; position: Position } | undefined {
  const sameEpoch = from.epoch === "" || from.epoch === top.epoch;
  const atTop = sameEpoch && from.offset === top.offset;
  if (recoveryMode === "cache") {
    if (atTop) return { publications: [], position: top };
    return publications[0]?.offset === top.offset ? { publications, position: top } : undefined;
  }
  const position = { offset: from.offset, epoch: top.epoch };
  if (atTop) return { publications: [], position };
  const complete = sameEpoch && publications.length <= recoveryLimit &&
    publications[0]?.offset === from.offset + 1 && publications.at(-1)!.offset === top.offset;
  return complete ? { publications, position } : undefined;
}

/** Creates the error of a refused action. It does not reveal whether the channel exists. */
export function denied(): PlugboardError {
  return new PlugboardError("permission_denied", "Permission denied");
}
