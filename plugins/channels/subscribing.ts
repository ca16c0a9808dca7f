/**
 * Subscribing without a gap: what was published before a subscription took effect comes with the reply, what is
 * published after it follows, and nothing comes twice.
 *
 * A subscription is prepared (the broker may take its time; what arrives meanwhile is kept), then it begins and
 * is answered in one go, then it follows the channel.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";
import type { Channel } from "./channel.ts";
import type { SubscribeAddition } from "./extensions.ts";
import type { ClientInfo, History, Position, Publication } from "./publications.ts";
import type { Client, Subscribed, SubscribeRequest, Subscription } from "./types.ts";

/** A subscription that is ready to begin. */
export interface Prepared {
  readonly channel: Channel;
  readonly subscription: Subscription;
  /** What to answer; from here to {@linkcode Prepared.newer} nothing may be awaited. */
  begin(): Subscribed;
  /** What came in after the answered position. */
  newer(): Publication[];
  /** Gives everything back. */
  abandon(): void;
}

/** Has the channel ready and reads what the answer needs. */
export async function prepare(
  channel: Channel,
  request: SubscribeRequest,
  { conn, info }: Pick<Client, "conn" | "info">,
  now: number,
  addition: SubscribeAddition | undefined,
): Promise<Prepared> {
  const buffer = channel.buffer();
  try {
    if (channel.ready !== undefined) await channel.ready;
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
        if (covered !== undefined) channel.stand(conn, lastOf(buffer, covered));
        return {
          ...read,
          ...(added !== undefined && { data: added.json }),
          ...(covered !== undefined && offset !== undefined && { position: covered }),
        };
      },
      newer() {
        channel.release(buffer);
        const from = covered;
        if (from === undefined) return [];
        return buffer.filter(({ publication, epoch }) =>
          epoch === from.epoch && publication.offset > from.offset
        )
          .map(({ publication }) => publication);
      },
      abandon: () => channel.release(buffer),
    };
  } catch (error) {
    channel.release(buffer);
    throw error;
  }
}

/** The position after what was kept in a buffer. */
function lastOf(buffer: readonly { publication: Publication; epoch: string }[], covered: Position): Position {
  const last = buffer.at(-1);
  if (last === undefined || last.epoch !== covered.epoch || last.publication.offset < covered.offset) {
    return covered;
  }
  return { offset: last.publication.offset, epoch: last.epoch };
}

function describe(
  { name, namespace }: Channel,
  request: SubscribeRequest,
  info: ClientInfo,
  now: number,
): Subscription {
  const { keep, recovery, joinLeave } = namespace;
  const allowed = keep !== undefined && recovery !== "off";
  const recoverable = allowed &&
    (recovery === "always" || request.recoverable === true || request.recover !== undefined);
  return {
    channel: name,
    namespace,
    info: request.grant?.chanInfo === undefined ? info : { ...info, chanInfo: request.grant.chanInfo },
    recoverable,
    positioned: recoverable || (allowed && request.positioned === true),
    joinLeave: joinLeave === "all" || (joinLeave === "ask" && request.joinLeave === true),
    serverSide: request.serverSide === true,
    since: now,
    expiresAt: request.grant?.expiresAt,
  };
}

function readPage(
  { name, namespace }: Channel,
  { recover }: SubscribeRequest,
  { positioned, recoverable }: Subscription,
): History | Promise<History> | undefined {
  if (!positioned) return undefined;
  const { broker } = namespace;
  const keep = namespace.keep!;
  if (recover === undefined || !recoverable) return broker.history(name, { limit: 0 }, keep);
  if (namespace.recoveryMode === "cache") return broker.history(name, { limit: 1, reverse: true }, keep);
  return broker.history(name, { since: recover, limit: namespace.recoveryLimit + 1 }, keep);
}

function answer(
  { namespace }: Channel,
  { recover, grant }: SubscribeRequest,
  { positioned, recoverable, expiresAt }: Subscription,
  history: History | undefined,
): Subscribed {
  const recovering = recover !== undefined && recoverable;
  const missed = recovering ? missedBy(recover, history!, namespace) : undefined;
  return {
    recoverable,
    positioned,
    wasRecovering: recovering,
    recovered: missed !== undefined,
    publications: missed?.publications ?? [],
    ...(history !== undefined && { position: missed?.position ?? history.top }),
    ...(grant?.data !== undefined && { data: grant.data }),
    ...(expiresAt !== undefined && { expiresAt }),
  };
}

/** What a client at `from` has missed, and the position to answer; nothing if that cannot be told for certain. */
function missedBy(
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

/** The error for somebody who may not. It does not tell whether the channel exists. */
export function denied(): PlugboardError {
  return new PlugboardError("permission_denied", "Permission denied");
}
