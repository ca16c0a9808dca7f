/**
 * Generations: what a node may believe about a server's data after the server has restarted.
 *
 * A server that comes back may have lost its latest writes. Their offsets are used again, so a client that has received
 * the lost publications could miss the new ones without a sign. So the run of the server is a part of the epoch.
 *
 * @module
 */

import type { Position } from "../channels.ts";

/** The data of a server since it started. */
export interface Generation {
  /** Identifies the run of the server. */
  readonly run: string;
  /** Whether histories of earlier runs go on. Otherwise nothing is known about what was lost, and they get another epoch. */
  readonly continues: boolean;
}

/** What is stored about a channel's history. */
export interface Lineage {
  /** The part of the epoch that stays over runs. */
  readonly base: string;
  /** The run of the latest publication. */
  readonly run: string;
  /** Earlier runs, the oldest first, each with its last offset that was not lost: `run:offset,run:offset`. */
  readonly earlier: string;
}

/** Reads the server's answer to `INFO`. */
export function generationFrom(info: string, warn: (message: string) => void): Generation {
  const field = (name: string) => info.match(new RegExp(`^${name}:(.*?)\\r?$`, "m"))?.[1] ?? "";
  const policy = field("maxmemory_policy");
  if (field("maxmemory") !== "0" && policy !== "" && policy !== "noeviction") {
    warn(`Redis removes histories as it likes: set maxmemory-policy to noeviction, not ${policy}`);
  }
  const promoted = !["", "-1"].includes(field("second_repl_offset"));
  // Without the append-only file, a restart goes back to an older snapshot; a replica may lack the latest writes.
  return { run: field("run_id").slice(0, 10), continues: field("aof_enabled") === "1" && !promoted };
}

/** Returns the epoch of a history. */
export function epochOf({ base, run }: Pick<Lineage, "base" | "run">): string {
  return `${base}.${run}`;
}

/** Whether a position of an earlier run is one in this history too: nothing before it was lost. */
export function continuesFrom({ base, earlier }: Lineage, { offset, epoch }: Position): boolean {
  const runs = earlier.split(",").map((each) => each.split(":"));
  const index = runs.findIndex(([run]) => epoch === `${base}.${run}`);
  return index !== -1 && runs.slice(index).every(([, last]) => offset <= Number(last));
}
