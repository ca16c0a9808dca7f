import { closeCodes } from "../../../core/mod.ts";
import type { Member } from "./members.ts";

/** Bytes that may wait in the network's own buffers. */
const NETWORK_BYTES = 131_072;

/** Whether messages wait for the client. */
export function isSlow({ conn }: Member): boolean {
  return conn.queuedBytes > NETWORK_BYTES;
}

/** Returns the function that looks for slow clients and closes those that are slow for longer than the timeout. */
export function slowClients(timeoutMs: number): (members: Iterable<Member>, now: number) => void {
  const slowSince = new WeakMap<Member, number>();
  return (members, now) => {
    for (const member of members) {
      const since = slowSince.get(member);
      if (!isSlow(member)) slowSince.delete(member);
      else if (since === undefined) slowSince.set(member, now);
      else if (now - since >= timeoutMs) member.conn.close(closeCodes.slow);
    }
  };
}
