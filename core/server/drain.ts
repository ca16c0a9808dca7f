import type { ServerConnection } from "../connections/server_connection.ts";
import type { Clock } from "../contract/clock.ts";
import { closeCodes } from "../contract/close_codes.ts";
import { settlesWithin } from "../contract/promises.ts";
import type { Gate } from "../http/gate.ts";
import type { HookRunner } from "./hooks.ts";

/** What draining needs. */
export interface DrainOptions {
  readonly gate: Gate;
  readonly hooks: HookRunner;
  readonly clock: Clock;
  /** The maximum time. */
  readonly ms: number;
}

/** Clients that are disconnected each second. More at once would overload the server they reconnect to. */
const CLOSES_PER_SECOND = 500;

/** Clients are disconnected in groups, one per interval. Ten thousand clients would need as many timers. */
const STEP_MS = 20;

/** How long a client may take to close its socket. */
const CLOSE_MS = 1_000;

/** The same after the maximum time has passed. */
const MIN_CLOSE_MS = 100;

/** Calls the `drain` hooks, and closes each connection when its pending message is handled. */
export async function drain({ gate, hooks, clock, ms }: DrainOptions): Promise<void> {
  const end = clock.monotonicTime() + ms;
  await settlesWithin(clock, ms, Promise.all([hooks.drain(), closeAll([...gate.connections], clock, ms)]));
  for (const conn of gate.connections) conn.close(closeCodes.shutdown);
  // When the runtime stops listening, it drops all sockets and the frames they have not sent.
  await settlesWithin(
    clock,
    Math.min(CLOSE_MS, Math.max(end - clock.monotonicTime(), MIN_CLOSE_MS)),
    gate.empty(),
  );
}

/** Closes the connections one after the other, over up to four fifths of the time. */
async function closeAll(all: ServerConnection[], clock: Clock, ms: number): Promise<void> {
  const spreadMs = Math.min(ms * 0.8, all.length * 1000 / CLOSES_PER_SECOND);
  const perStep = Math.ceil(all.length / Math.max(1, spreadMs / STEP_MS));
  const leaving: Promise<void>[] = [];
  for (let i = 0; i < all.length; i += perStep) {
    if (i > 0) await new Promise<void>((resolve) => clock.after(STEP_MS, resolve));
    for (const conn of all.slice(i, i + perStep)) leaving.push(conn.leave(closeCodes.shutdown));
  }
  await Promise.all(leaving);
}
