/**
 * Recurring times, by cron patterns.
 *
 * @module
 */

import { Cron } from "croner";
import { PlugboardError } from "../../core/mod.ts";

/** Maximum characters of a pattern, and of the name of a time zone. */
const MAX_PATTERN = 100;
const MAX_TIMEZONE = 64;

/** Parsed patterns that are kept. Parsing takes several times as long as finding the next time. */
const MAX_CACHED = 1_000;

interface Pattern {
  readonly cron: Cron;
  /** The last answer: publications with the same pattern are due together. */
  last: { readonly after: number; readonly next: number | undefined } | undefined;
}

/** Finds the times of patterns. */
export interface Recurrence {
  /** Returns the first time after another, both in milliseconds since 1970; `undefined` if there is none. */
  next(every: string, timezone: string, after: number): number | undefined;
  /** Throws `bad_request` unless it is a pattern with a next time. */
  check(every: unknown, timezone: unknown, after: number): void;
}

/** Makes an empty cache of patterns. */
export function recurrence(): Recurrence {
  const patterns = new Map<string, Pattern>();

  function patternOf(every: string, timezone: string): Pattern {
    const name = `${timezone} ${every}`;
    let pattern = patterns.get(name);
    if (pattern === undefined) {
      pattern = { cron: new Cron(every, { timezone }), last: undefined };
      if (patterns.size >= MAX_CACHED) patterns.delete(patterns.keys().next().value!);
      patterns.set(name, pattern);
    }
    return pattern;
  }

  function next(every: string, timezone: string, after: number): number | undefined {
    const pattern = patternOf(every, timezone);
    // Patterns have no parts below a second.
    const second = Math.floor(after / 1000) * 1000;
    if (pattern.last?.after !== second) {
      pattern.last = { after: second, next: pattern.cron.nextRun(new Date(second))?.getTime() };
    }
    return pattern.last.next;
  }

  return {
    next,
    check(every, timezone, after) {
      if (typeof every !== "string" || every.length > MAX_PATTERN || every.trim().split(/\s+/).length < 5) {
        throw new PlugboardError(
          "bad_request",
          `"every" must be a cron pattern such as "0 9 * * MON-FRI", got ${shown(every)}`,
        );
      }
      if (typeof timezone !== "string" || timezone === "" || timezone.length > MAX_TIMEZONE) {
        throw new PlugboardError(
          "bad_request",
          `"timezone" must be a name such as "Europe/Berlin", got ${shown(timezone)}`,
        );
      }
      let first: number | undefined;
      try {
        first = next(every, timezone, after);
      } catch (error) {
        throw new PlugboardError(
          "bad_request",
          `"every" or "timezone" is invalid: ${shown(every)}, ${shown(timezone)}`,
          { cause: error },
        );
      }
      if (first === undefined) {
        throw new PlugboardError("bad_request", `The pattern ${shown(every)} is never due`);
      }
    },
  };
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? String(value)).slice(0, MAX_PATTERN);
}
