/**
 * Clients: from an open connection to a place in the hub's channels.
 *
 * @module
 */

import {
  type Clock,
  closeCodes,
  type Connection,
  type Log,
  type Message,
  type Session,
} from "../../../core/mod.ts";
import type { Channels, Client, Publication, Subscribed } from "../../channels.ts";
import type { Arrival } from "./arrival.ts";
import { encoder } from "./encoder.ts";
import type { Keeping } from "./keeping.ts";
import { complete } from "./message.ts";
import { EVERYBODY, sessionChannel, userChannel } from "./names.ts";
import type { Roster, Seat } from "./roster.ts";

/** What clients are let in with. */
export interface ClientParts {
  readonly channels: Pick<Channels, "connect">;
  readonly roster: Roster;
  readonly kept: Keeping | undefined;
  readonly clock: () => Clock;
  readonly log: () => Log | undefined;
}

/** Lets clients in: each is put into the channels of everybody, of its user and of its session. */
export function seatClients(
  { channels, roster, kept, clock, log }: ClientParts,
): (conn: Connection, arrival: Arrival) => Session<Message> {
  async function subscribe(seat: Seat, client: Client): Promise<void> {
    const names = [EVERYBODY, userChannel(seat.user)];
    if (seat.session !== undefined) names.push(sessionChannel(seat.session));
    const request = (name: string) => kept?.request(seat, name) ?? { serverSide: true };
    await client.subscribeAll(new Map(names.map((name) => [name, request(name)])), (subscribed) => {
      if (subscribed.size < names.length) throw new Error("the channels refused a subscription");
      sendMissed(seat, [...subscribed.values()]);
      kept?.arrived(seat, subscribed);
    });
  }

  function sendMissed({ conn, user }: Seat, subscribed: readonly Subscribed[]): void {
    const missed = subscribed.flatMap(({ publications }) => publications);
    for (const { payload } of missed.sort(asSent)) conn.send(payload.text);
    if (subscribed.every(({ wasRecovering, recovered }) => recovered || !wasRecovering)) return;
    log()?.info("messages for a session that was away are lost: there were too many", { user });
    conn.send(JSON.stringify(complete({ type: "messages_lost" }, clock().now())));
  }

  return (conn, { user, session, identity }) => {
    const seat: Seat = { conn, user, session };
    roster.add(seat);
    subscribe(seat, channels.connect(conn, { identity, encoder })).catch((error) => {
      log()?.error("a client could not be subscribed", { error });
      conn.close(closeCodes.internalError);
    });
    return {
      message() {}, // clients have nothing to say: what they send is but a sign of life
      close(why) {
        roster.delete(seat);
        if (session !== undefined) kept?.left(seat, why, roster.ownerOf(session) === undefined);
      },
    };
  };
}

/** Makes one sequence of several logs: by the time, and within a millisecond by the sender's count. */
function asSent(a: Publication, b: Publication): number {
  return a.time - b.time || Number(a.tags?.n) - Number(b.tags?.n);
}
