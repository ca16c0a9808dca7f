/**
 * Drain: how the clients are seen off before the server stops.
 *
 * @module
 */

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
  /** How long it may take at most. */
  readonly ms: number;
}

/** Clients told to reconnect each second; more at once would storm whoever takes over. */
const FAREWELLS_PER_SECOND = 500;

/** Those of this time leave together: a timer for each client would be a storm of its own. */
const STEP_MS = 20;

/** How long a client that was told to go has to do so. */
const LEAVE_MS = 1_000;

/** The same when the time is over already. */
const LAST_WORDS_MS = 100;

/** Has every client leave, each when what it asked for is done, and awaits the plugins' `drain`. */
export async function drain({ gate, hooks, clock, ms }: DrainOptions): Promise<void> {
  const end = clock.now() + ms;
  await settlesWithin(clock, ms, Promise.all([hooks.drain(), farewell([...gate.connections], clock, ms)]));
  for (const conn of gate.connections) conn.close(closeCodes.shutdown);
  // The runtime drops all sockets when it stops listening, and with them what was said last.
  await settlesWithin(clock, Math.min(LEAVE_MS, Math.max(end - clock.now(), LAST_WORDS_MS)), gate.empty());
}

/** Closes one after the other, over the better part of the time. */
async function farewell(all: ServerConnection[], clock: Clock, ms: number): Promise<void> {
  const spreadMs = Math.min(ms * 0.8, all.length * 1000 / FAREWELLS_PER_SECOND);
  const perStep = Math.ceil(all.length / Math.max(1, spreadMs / STEP_MS));
  const leaving: Promise<void>[] = [];
  for (let i = 0; i < all.length; i += perStep) {
    if (i > 0) await new Promise<void>((resolve) => clock.after(STEP_MS, resolve));
    for (const conn of all.slice(i, i + perStep)) leaving.push(conn.leave(closeCodes.shutdown));
  }
  await Promise.all(leaving);
}
