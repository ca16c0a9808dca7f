/**
 * Subscribing without a gap: the reply has a position, and the client gets every later publication once.
 *
 * A subscription is prepared first: the broker may answer later, and what arrives meanwhile is buffered. Then it begins
 * and is answered in one step. Then it gets what was buffered.
 *
 * @module
 */

import { attempt, chain, type MaybePromise, PlugboardError } from "../../core/mod.ts";
import type { Buffer, Channel } from "./channel.ts";
import type { RecoveryDeltas } from "./deltas.ts";
import type { SubscribeAddition } from "./extensions.ts";
import { decide } from "./namespaces.ts";
import type { History, Position, Publication } from "./publications.ts";
import { CompiledFilter } from "./tag_filter.ts";
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
  readonly client: Pick<Client, "conn" | "info" | "identity" | "encoder">;
  readonly now: number;
  readonly addition: SubscribeAddition | undefined;
  /** Subscribes this node at the broker. */
  readonly subscribe: (channel: Channel) => MaybePromise<void>;
  readonly deltas: RecoveryDeltas;
}

/** Prepares a subscription: subscribes at the broker and reads the history that the answer needs. */
export function prepare(given: Preparing): MaybePromise<Prepared> {
  const { channel, request: asked, client, now, addition, subscribe, deltas } = given;
  const request = addition?.grant ? { ...asked, grant: { ...asked.grant, ...addition.grant } } : asked;
  const filter = request.filter && new CompiledFilter(request.filter);
  const buffer = channel.startBuffer();
  return attempt(() =>
    chain(subscribe(channel), () => {
      const subscription = describe(channel, request, client, now, filter);
      return chain(
        readPage(channel, request, subscription),
        (history) => ready({ channel, request, client, addition, deltas }, subscription, history, buffer),
      );
    }), (error) => {
    channel.endBuffer(buffer);
    throw error;
  });
}

function ready(
  { channel, request, client, addition, deltas }: Omit<Preparing, "now" | "subscribe">,
  subscription: Subscription,
  history: History | undefined,
  buffer: Buffer,
): Prepared {
  const read = answer(channel, request, subscription, history, deltas);
  if (request.mustRecover && subscription.recoverable && read.wasRecovering && !read.recovered) {
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
      if (covered !== undefined) channel.setPosition(client.conn, lastPosition(buffer, covered));
      if (added === undefined) return read;
      return {
        ...read,
        data: added.json,
        ...(covered !== undefined && offset !== undefined && { position: covered }),
      };
    },
    later() {
      channel.endBuffer(buffer);
      const from = covered;
      if (from === undefined) return [];
      return buffer.flatMap(({ publication, epoch }) =>
        epoch === from.epoch && publication.offset > from.offset && passes(subscription, publication)
          ? [publication]
          : []
      );
    },
    cancel: () => channel.endBuffer(buffer),
  };
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

/** Whether a subscription gets a publication. */
function passes({ filter }: Subscription, { tags }: Publication): boolean {
  return filter === undefined || filter.matches(tags);
}

function describe(
  { name, namespace, id }: Channel,
  request: SubscribeRequest,
  { info, identity, encoder }: Preparing["client"],
  now: number,
  filter: CompiledFilter | undefined,
): Subscription {
  const { keep, recovery, joinLeave, delta, compaction } = namespace;
  const { grant, recover, serverSide, resumed } = request;
  const granted = serverSide === true || grant !== undefined;
  // To recover is to read the history, and joins and leaves tell who is present.
  const mayRead = (action: "history" | "presence") =>
    decide(namespace, action, name, identity, { granted, allow: grant?.allow }).allowed;
  const recoverable = recovery === "always" || grant?.recoverable === true ||
    (recovery === "readers" || request.recoverable === true || recover !== undefined) && mayRead("history");
  const positioned = recoverable || grant?.positioned === true ||
    request.positioned === true && mayRead("history");
  const allowed = keep !== undefined && recovery !== "off";
  return {
    channel: name,
    namespace,
    info: grant?.chanInfo === undefined ? info : { ...info, chanInfo: grant.chanInfo },
    recoverable: allowed && recoverable,
    positioned: allowed && positioned,
    joinLeave: joinLeave === "all" ||
      joinLeave === "ask" &&
        (grant?.joinLeave === true || request.joinLeave === true && mayRead("presence")),
    // With a filter, the client may not have the publication that a delta starts from.
    delta: request.delta !== undefined && request.delta === delta && keep !== undefined &&
      filter === undefined,
    filter,
    channelId: compaction && request.compact === true && encoder.channelIds === true ? id : 0,
    serverSide: serverSide === true || resumed === true,
    granted,
    allow: grant?.allow,
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
  { name, namespace }: Channel,
  { recover, grant }: SubscribeRequest,
  subscription: Subscription,
  history: History | undefined,
  deltas: RecoveryDeltas,
): Subscribed {
  const { positioned, recoverable, expiresAt, delta, filter, channelId } = subscription;
  const { publishDebounceMs } = namespace;
  const wasRecovering = recover !== undefined;
  const missed = wasRecovering && recoverable ? missedSince(recover, history!, namespace) : undefined;
  const all = missed?.publications ?? [];
  const publications = filter === undefined ? all : all.filter(({ tags }) => filter.matches(tags));
  // The client moves its position with each publication that it gets.
  const position = publications.length === 0 ? history?.top : missed?.position;
  return {
    recoverable,
    positioned,
    wasRecovering,
    recovered: missed !== undefined,
    ...(wasRecovering && missed === undefined && { lost: lostBecause(recover, history, namespace) }),
    publications,
    ...(delta && { deltas: deltas.of(name, position?.epoch, publications) }),
    ...(channelId > 0 && { channelId }),
    ...(publishDebounceMs > 0 && { publishDebounceMs }),
    ...(position !== undefined && { position }),
    ...(grant?.data !== undefined && { data: grant.data }),
    ...(expiresAt !== undefined && { expiresAt }),
  };
}

/** Returns what a client at a position has missed, and the position to answer; `undefined` if some of it is lost. */
function missedSince(
  from: Position,
  { publications, top, continued }: History,
  { recoveryMode, recoveryLimit }: Channel["namespace"],
): { publications: readonly Publication[]; position: Position } | undefined {
  const position = { offset: from.offset, epoch: top.epoch };
  if (recoveryMode === "cache") {
    if (from.offset > 0 && from.offset === top.offset && from.epoch === top.epoch) {
      return { publications: [], position };
    }
    return publications[0]?.offset === top.offset ? { publications, position } : undefined;
  }
  const sameEpoch = from.epoch === "" || from.epoch === top.epoch || continued === true;
  if (sameEpoch && from.offset === top.offset) return { publications: [], position };
  const complete = sameEpoch && publications.length <= recoveryLimit &&
    publications[0]?.offset === from.offset + 1 && publications.at(-1)!.offset === top.offset;
  return complete ? { publications, position } : undefined;
}

/** Tells operators why a client could not recover. */
function lostBecause(
  from: Position,
  history: History | undefined,
  { name, keep, recoveryMode, recoveryLimit }: Channel["namespace"],
): string {
  const where = name === "" ? "the default namespace" : `the namespace ${name}`;
  if (keep === undefined) return `${where} keeps no history`;
  if (history === undefined) return `the client may not recover in ${where}`;
  const { publications, top, continued } = history;
  if (from.epoch !== "" && from.epoch !== top.epoch && continued !== true) {
    return "the history was lost since";
  }
  if (recoveryMode === "cache") return "the latest publication is not kept any more";
  if (publications.length > recoveryLimit) return `it missed more than ${recoveryLimit} publications`;
  return `what it missed is not kept any more: historySize ${keep.size}, historyMs ${keep.ageMs}`;
}

/** Creates the error of a refused action. It does not reveal whether the channel exists. */
export function denied(): PlugboardError {
  return new PlugboardError("permission_denied", "Permission denied");
}
