/**
 * The condition of the file: well, or a sentence about what is wrong.
 *
 * @module
 */

import type { Clock, Log, PlugboardError } from "../../core/mod.ts";

/** Remembers what is wrong until it is over. */
export interface Condition {
  readonly problem: string | undefined;
  /** Something went wrong with the file. */
  failed(failure: PlugboardError): void;
  /** Tries no more whether it works again. */
  end(): void;
}

/** What does not go away by itself. */
const LASTING = new Set(["corrupt", "file_moved"]);

/** How often to try whether a file that failed works again. */
const PROBE_MS = 1_000;

/**
 * Well so far. `probe` writes something, to see whether that works again; `reasonFor` adds to a sentence what the system
 * says about it.
 */
export function condition(
  clock: Clock,
  log: Log,
  probe: () => Promise<void>,
  reasonFor: (code: string) => string,
): Condition {
  let damage: string | undefined;
  let problem: string | undefined;
  /** What was told last, before a reason was added. */
  let latest: string | undefined;
  let cancel: (() => void) | undefined;
  let ended = false;

  function probeLater(): void {
    if (ended || cancel !== undefined) return;
    cancel = clock.after(PROBE_MS, async () => {
      try {
        await probe();
        problem = latest = undefined;
        log.warn("The database can be written again");
      } catch { /* what it was is told where it happened */ }
      cancel = undefined;
      if (problem !== undefined) probeLater();
    });
  }

  return {
    get problem() {
      return damage ?? problem;
    },
    failed({ message, code }) {
      if (message === latest) return;
      latest = message;
      const sentence = message + reasonFor(code);
      log.error(sentence, { code });
      if (LASTING.has(code)) damage = sentence;
      else {
        problem = sentence;
        probeLater();
      }
    },
    end() {
      ended = true;
      cancel?.();
    },
  };
}
