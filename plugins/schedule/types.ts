/**
 * What the schedule takes and returns.
 *
 * @module
 */

import type { PublishOptions } from "../channels.ts";

/** How to publish what is due. */
export type ScheduledOptions = Omit<
  PublishOptions,
  "except" | "idempotencyKey" | "idempotencyMs" | "idempotencyOwner"
>;

/** When to publish: exactly one of `at`, `delay` and `every`. */
export interface ScheduleRequest extends ScheduledOptions {
  /** The moment, in milliseconds since 1970 by the wall clock. What is past is published at once. */
  readonly at?: number;
  /** In how many milliseconds. It lasts as long, although the wall clock is set. */
  readonly delay?: number;
  /** A cron pattern such as `0 9 * * MON-FRI`, or with seconds as its first of six parts. */
  readonly every?: string;
  /** The time zone of `every`. @default {"UTC"} */
  readonly timezone?: string;
  /** Identifies the publication in its channel: an older one with the same id is replaced. @default {a random one} */
  readonly id?: string;
  /** Whose it is: a user. It counts for the limit of the user, who can cancel it. @default {the server} */
  readonly owner?: string;
  /**
   * Schedules once: a repeated request of the same owner with the same key, for the same channel, has no effect and resolves
   * to the first result.
   */
  readonly idempotencyKey?: string;
}

/** A publication that will be due. */
export interface Scheduled {
  /** The channel. */
  readonly channel: string;
  /** Its id in the channel. */
  readonly id: string;
  /** Counts what was scheduled; of use for {@linkcode ScheduleQuery.after}. */
  readonly seq: number;
  /** When it is due next, in milliseconds since 1970. */
  readonly at: number;
  /** The pattern of a recurring one. */
  readonly every?: string;
  /** The time zone of the pattern. */
  readonly timezone?: string;
  /** Whose it is; absent for the server's. */
  readonly owner?: string;
}

/** Which publications to list. */
export interface ScheduleQuery {
  /** Only those of a channel. */
  readonly channel?: string;
  /** Only those of a user. */
  readonly owner?: string;
  /** Only those after this `seq`: the last one of the previous page. */
  readonly after?: number;
  /** The maximum number. @default {100} */
  readonly limit?: number;
}

/** What the schedule offers to the app. */
export interface Schedule {
  /**
   * Publishes later. Resolves when the publication is stored. It is published once, in channels of memory brokers at least
   * once if the server is killed in this moment. What is due at the same time is published in the order of the calls.
   *
   * Rejects with `bad_request`, with `conflict` if the id belongs to another user, with `limit_exceeded` if there are too many, or
   * with an error of the store.
   */
  publish(channel: string, data: unknown, when: ScheduleRequest): Promise<Scheduled>;
  /** Lists what will be due, in the order in which it was scheduled. */
  list(query?: ScheduleQuery): Promise<Scheduled[]>;
  /** Cancels a publication, with an `owner` only if it is theirs; resolves to `false` if there is none. */
  cancel(channel: string, id: string, options?: { readonly owner?: string }): Promise<boolean>;
}
