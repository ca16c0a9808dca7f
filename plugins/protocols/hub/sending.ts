/**
 * Sending: from a target to the connections behind it.
 *
 * @module
 */

import { type Clock, PlugboardError } from "../../../core/mod.ts";
import type { Channels } from "../../channels.ts";
import type { Keeping } from "./keeping.ts";
import { complete, type HubMessage, type SentMessage } from "./message.ts";
import { EVERYBODY, sessionChannel, unfitId, userChannel } from "./names.ts";
import type { Roster } from "./roster.ts";

/** Whom to send to; of both, each connection gets it once. */
export interface Targets {
  /** All connections of a user. */
  readonly user?: string;
  /** All connections of a session. */
  readonly session?: string;
}

/** What became of a message for one target. */
export interface TargetReport {
  /** Connections on this node that it was handed to. */
  readonly delivered: number;
  /** Whether anybody is there, or away with messages being kept for them. */
  readonly known: boolean;
}

/** What became of a message. */
export interface SendReport {
  /** Connections on this node that it was handed to, each counted once. */
  readonly delivered: number;
  /** The same for each target; a connection that is both counts for both. */
  readonly targets: { readonly user?: TargetReport; readonly session?: TargetReport };
}

/** What sending works with. */
export interface SendingParts {
  readonly channels: Pick<Channels, "publish">;
  readonly roster: Roster;
  readonly kept: Keeping | undefined;
  readonly clock: () => Clock;
}

/** Sends messages. */
export interface Sending {
  send(targets: Targets, message: HubMessage): Promise<SendReport>;
  broadcast(message: HubMessage): Promise<number>;
}

/** Makes the sender. */
export function sending({ channels, roster, kept, clock }: SendingParts): Sending {
  let sent = 0;

  function completed(message: HubMessage): SentMessage {
    const whole = complete(message, clock().now());
    return kept === undefined ? whole : { ...whole, id: crypto.randomUUID() };
  }

  async function publish(channel: string, message: SentMessage): Promise<number> {
    const options = kept === undefined ? {} : { tags: { n: String(sent++) } };
    return (await channels.publish(channel, message, options)).receivers;
  }

  async function toUser(user: string, message: SentMessage): Promise<TargetReport> {
    const delivered = await publish(userChannel(user), message);
    return { delivered, known: delivered > 0 || kept?.knows(user) === true };
  }

  /** Sends to a session; those of it who are the user `had` have the message already and are only counted. */
  async function toSession(
    session: string,
    message: SentMessage,
    had: string | undefined,
  ): Promise<{ report: TargetReport; more: number }> {
    const all = roster.ofSession(session);
    const others = all.filter(({ user }) => user !== had);
    const served = all.length - others.length;
    const awayUser = kept?.userOf(session);
    let more = 0;
    if (served > 0) {
      // A session of this name that other users have, too: they are told one by one.
      const text = JSON.stringify(message);
      more = others.filter(({ conn }) => conn.send(text)).length;
    } else if (had === undefined || awayUser !== had) {
      more = await publish(sessionChannel(session), message);
    }
    const delivered = served + more;
    return { report: { delivered, known: delivered > 0 || awayUser !== undefined }, more };
  }

  return {
    async send({ user, session }, message) {
      check({ user, session });
      const one = completed(message);
      const byUser = user === undefined ? undefined : await toUser(user, one);
      const bySession = session === undefined ? undefined : await toSession(session, one, user);
      return {
        delivered: (byUser?.delivered ?? 0) + (bySession?.more ?? 0),
        targets: { ...(byUser && { user: byUser }), ...(bySession && { session: bySession.report }) },
      };
    },
    broadcast: async (message) => await publish(EVERYBODY, completed(message)),
  };
}

function check({ user, session }: { user: string | undefined; session: string | undefined }): void {
  const problem = user === undefined && session === undefined
    ? "targetUserId or targetSessionId is required"
    : (user === undefined ? undefined : unfitId("targetUserId", user)) ??
      (session === undefined ? undefined : unfitId("targetSessionId", session));
  if (problem !== undefined) throw new PlugboardError("bad_request", problem);
}
