import { type Clock, PlugboardError } from "../../../core/mod.ts";
import type { Channels } from "../../channels.ts";
import type { Payload } from "../../shared/payload.ts";
import type { AwaySessions } from "./away_sessions.ts";
import type { Members } from "./members.ts";
import { complete, encoded, type HubMessage } from "./message.ts";
import { BROADCASTS, idProblem, sessionChannel, type SessionKey, sessionKey, userChannel } from "./names.ts";

/** The receivers of a message; a connection that matches both gets it once. */
export interface Targets {
  /** All connections of a user. */
  readonly user?: string;
  /** All connections of a session. */
  readonly session?: string;
}

/** The result for one target. */
export interface TargetReport {
  /** Connections on this node that the message was sent to. */
  readonly delivered: number;
  /** Whether the target is connected, or away with messages being kept. */
  readonly known: boolean;
}

/** The result of sending a message. */
export interface SendReport {
  /** Connections on this node that the message was sent to, each counted once. */
  readonly delivered: number;
  /** The result for each target; a connection that matches both counts for both. */
  readonly targets: { readonly user?: TargetReport; readonly session?: TargetReport };
}

/** Sends messages to users, sessions and all clients. */
export interface Sender {
  send(targets: Targets, message: HubMessage): Promise<SendReport>;
  broadcast(message: HubMessage): Promise<number>;
}

/** Makes a sender. */
export function sender({ channels, members, away, perUser, clock }: {
  channels: Pick<Channels, "publish">;
  members: Members;
  away: AwaySessions | undefined;
  /** Whether each user has session ids of its own. */
  perUser: boolean;
  clock: () => Clock;
}): Sender {
  let sent = 0;

  function completed(message: HubMessage): Payload {
    const whole = complete(message, clock().wallTime());
    return encoded(away === undefined ? whole : { ...whole, id: crypto.randomUUID() });
  }

  async function publish(channel: string, message: Payload): Promise<number> {
    const options = away === undefined ? {} : { tags: { n: String(sent++) } };
    return (await channels.publish(channel, message, options)).receivers;
  }

  async function toUser(user: string, message: Payload): Promise<TargetReport> {
    const delivered = await publish(userChannel(user), message);
    return { delivered, known: delivered > 0 || away?.hasUser(user) === true };
  }

  /** Returns the key of the session that a backend means. */
  function keyOf(session: string, user: string | undefined): SessionKey {
    if (!perUser || user !== undefined) return sessionKey(session, perUser ? user : undefined);
    const id = sessionKey(session);
    const keys = new Set([...members.sessionsWithId(id), ...away?.sessionsWithId(id) ?? []]);
    if (keys.size > 1) {
      throw new PlugboardError(
        "ambiguous_session",
        "Several users have this session id; targetUserId is required",
      );
    }
    return [...keys][0] ?? id;
  }

  /** Sends to a session. Connections of `servedUser` already have the message and are only counted. */
  async function toSession(
    session: SessionKey,
    message: Payload,
    servedUser: string | undefined,
  ): Promise<{ report: TargetReport; more: number }> {
    const all = members.ofSession(session);
    const others = all.filter(({ user }) => user !== servedUser);
    const served = all.length - others.length;
    const awayUser = away?.userOf(session);
    let more = 0;
    if (served > 0) {
      // Other users with the same session id: the session's channel would reach the served ones again.
      more = others.filter(({ conn }) => conn.send(message.text)).length;
    } else if (servedUser === undefined || awayUser !== servedUser) {
      more = await publish(sessionChannel(session), message);
    }
    const delivered = served + more;
    return { report: { delivered, known: delivered > 0 || awayUser !== undefined }, more };
  }

  return {
    async send({ user, session }, message) {
      check({ user, session });
      const key = session === undefined ? undefined : keyOf(session, user);
      const one = completed(message);
      const byUser = user === undefined ? undefined : await toUser(user, one);
      const bySession = key === undefined ? undefined : await toSession(key, one, user);
      return {
        delivered: (byUser?.delivered ?? 0) + (bySession?.more ?? 0),
        targets: { ...(byUser && { user: byUser }), ...(bySession && { session: bySession.report }) },
      };
    },
    broadcast: async (message) => await publish(BROADCASTS, completed(message)),
  };
}

function check({ user, session }: { user: string | undefined; session: string | undefined }): void {
  const problem = user === undefined && session === undefined
    ? "targetUserId or targetSessionId is required"
    : (user === undefined ? undefined : idProblem("targetUserId", user)) ??
      (session === undefined ? undefined : idProblem("targetSessionId", session));
  if (problem !== undefined) throw new PlugboardError("bad_request", problem);
}
