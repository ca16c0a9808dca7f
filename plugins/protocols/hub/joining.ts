import {
  type Clock,
  closeCodes,
  type Connection,
  type Log,
  type Message,
  type Session,
} from "../../../core/mod.ts";
import type { Channels, Client, Publication, Subscribed } from "../../channels.ts";
import type { AwaySessions } from "./away_sessions.ts";
import { encoder } from "./encoder.ts";
import type { Accepted } from "./handshake.ts";
import type { Member, Members } from "./members.ts";
import { complete, encoded } from "./message.ts";
import { BROADCASTS, sessionChannel, userChannel } from "./names.ts";

/**
 * Returns the function that opens the session of an accepted client: subscribes it to the channels of its user, its
 * session and all clients.
 */
export function joining({ channels, members, away, clock, log }: {
  channels: Pick<Channels, "connect">;
  members: Members;
  away: AwaySessions | undefined;
  clock: () => Clock;
  log: () => Log | undefined;
}): (conn: Connection, accepted: Accepted) => Session<Message> {
  async function subscribe(member: Member, client: Client): Promise<void> {
    const names = [BROADCASTS, userChannel(member.user)];
    if (member.session !== undefined) names.push(sessionChannel(member.session));
    const request = (name: string) => away?.request(member, name) ?? { serverSide: true };
    await client.subscribeAll(new Map(names.map((name) => [name, request(name)])), (subscribed) => {
      if (subscribed.size < names.length) throw new Error("the channels refused a subscription");
      sendMissed(member, [...subscribed.values()]);
      away?.joined(member, subscribed);
    });
  }

  function sendMissed({ conn, user }: Member, subscribed: readonly Subscribed[]): void {
    const missed = subscribed.flatMap(({ publications }) => publications);
    for (const { payload } of missed.sort(bySendOrder)) conn.send(payload.text);
    if (subscribed.every(({ wasRecovering, recovered }) => recovered || !wasRecovering)) return;
    log()?.info("a session was away too long: some of its messages are lost", { user });
    conn.send(encoded(complete({ type: "messages_lost" }, clock().wallTime())).text);
  }

  return (conn, { user, session, identity }) => {
    const member: Member = { conn, user, session };
    members.add(member);
    subscribe(member, channels.connect(conn, { identity, encoder })).catch((error) => {
      log()?.error("a client could not be subscribed", { error });
      conn.close(closeCodes.internalError);
    });
    return {
      message() {}, // messages of clients only show that they are alive
      close(why) {
        members.delete(member);
        if (session !== undefined) away?.left(member, why, members.ofSession(session).length === 0);
      },
    };
  };
}

/** Sorts the histories of several channels by time, and within a millisecond by the sender's counter. */
function bySendOrder(a: Publication, b: Publication): number {
  return a.time - b.time || Number(a.tags?.n) - Number(b.tags?.n);
}
