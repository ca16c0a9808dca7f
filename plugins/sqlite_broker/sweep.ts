/**
 * Removes what has expired, or exceeds a log's size, in the background and in small pieces.
 *
 * @module
 */

import type { Clock } from "../../core/mod.ts";
import type { Store } from "../persistence.ts";
import { cut } from "./cuts.ts";
import type { LogEnds } from "./log_ends.ts";

/** What {@linkcode sweep} works with. */
export interface SweepParts {
  readonly store: Pick<Store, "all" | "get" | "write">;
  readonly ends: LogEnds;
  readonly clock: Clock;
  /** How long a log without publications is kept after the last one. */
  readonly forgetAfterMs: number;
  /** Called when it fails. It is retried. */
  readonly failed: (error: unknown) => void;
}

/** A publish does not update `used_at`, so the publications count too. */
const FORGET = `
  DELETE FROM channel_logs WHERE id = ?1 AND used_at <= ?2
  AND NOT EXISTS (SELECT 1 FROM channel_publications WHERE log = ?1)`;

/** A running sweep. */
export interface Sweep {
  /** Stops; resolves when the current work has ended. */
  end(): Promise<void>;
}

/** How often logs are checked, and how many at once: less than a millisecond each time. */
const SWEEP_MS = 250;
const SWEEP_LOGS = 250;

/** Selects the next logs, each with its oldest publication and the last one to remove. What is in the tail is removed later. */
const CHECK = `
  SELECT id, used_at AS usedAt, oldest, max(latest - size, ifnull(alive - 1, latest)) AS cut FROM (
    SELECT id, size, used_at,
      max(top, ifnull((SELECT max(offset) FROM channel_publications WHERE log = id), 0)) AS latest,
      (SELECT min(offset) FROM channel_publications WHERE log = id) AS oldest,
      (SELECT offset FROM channel_publications WHERE log = id AND time > ?2 - age_ms ORDER BY offset LIMIT 1) AS alive
    FROM channel_logs WHERE id > ?1 ORDER BY id LIMIT ${SWEEP_LOGS}
  )`;

interface SweptLog {
  readonly id: number;
  readonly usedAt: number;
  readonly oldest: number | null;
  readonly cut: number;
}

/** Starts a sweep. */
export function sweep({ store, ends, clock, forgetAfterMs, failed }: SweepParts): Sweep {
  let sweptTo = 0;
  let sweeping: Promise<void> | undefined;

  /** Checks the tail and the next logs. Writes only if there is something to move or to remove. */
  function work(): Promise<void>[] {
    const now = clock.wallTime();
    const moving = ends.moves.due(store, now) ? [move()] : [];
    return [...moving, ...check(now)];
  }

  async function move(): Promise<void> {
    do await store.write((tx) => ends.step(tx)); while (ends.moves.urgent);
  }

  function check(now: number): Promise<void>[] {
    const logs = store.all<SweptLog>(CHECK, [sweptTo, now]);
    sweptTo = logs.length < SWEEP_LOGS ? 0 : logs.at(-1)!.id;
    const unused = now - forgetAfterMs;
    return logs.flatMap(({ id, usedAt, oldest, cut }) => {
      if (oldest !== null) return oldest <= cut ? [cutAll(id, cut)] : [];
      return usedAt <= unused ? [forget(id, unused)] : [];
    });
  }

  async function cutAll(id: number, to: number): Promise<void> {
    while (await store.write((tx) => cut(tx, id, to)));
  }

  function forget(id: number, unused: number): Promise<void> {
    return store.write((tx) => {
      ends.tail.sync(tx);
      if (ends.tail.has(id)) return; // Rows that do not count any more would count for a later log with this id.
      const { changes } = tx.run(FORGET, [id, unused]);
      if (changes === 0) return; // It was used in the meantime.
      ends.forget();
      // A client with a position in this log must not take a new one for it.
      tx.run("UPDATE channel_epoch SET epoch = lower(hex(randomblob(4)))");
    });
  }

  const end = clock.every(SWEEP_MS, () => {
    if (sweeping !== undefined) return;
    try {
      const all = work();
      if (all.length === 0) return;
      sweeping = Promise.all(all).then(() => {}, failed).finally(() => sweeping = undefined);
    } catch (error) {
      failed(error);
    }
  });

  return {
    async end() {
      end();
      await sweeping;
    },
  };
}
