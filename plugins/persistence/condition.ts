/**
 * The condition of the file: healthy, or a sentence about what is wrong.
 *
 * @module
 */

import type { Clock, Log, PlugboardError } from "../../core/mod.ts";

/** Remembers what is wrong with the file until it works again. */
export interface Condition {
  readonly problem: string | undefined;
  /** Reports a failure of the file. */
  failed(failure: PlugboardError): void;
  /** Stops checking whether the file works again. */
  end(): void;
}

/** Codes of failures that last until a restart. */
const LASTING = new Set(["corrupt"]);

/** How often to check whether a file that failed works again. */
const PROBE_MS = 1_000;

/**
 * Starts healthy. `probe` writes something, to check whether the file works again. `reasonFor` returns what the system
 * says about a failure.
 */
export function condition(
  clock: Clock,
  log: Log,
  probe: () => Promise<void>,
  reasonFor: (code: string) => string,
): Condition {
  let lasting: string | undefined;
  let problem: string | undefined;
  /** The latest failure, without the reason. */
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
      } catch { /* the queue reports the failure */ }
      cancel = undefined;
      if (problem !== undefined) probeLater();
    });
  }

  return {
    get problem() {
      return lasting ?? problem;
    },
    failed({ message, code }) {
      if (message === latest) return;
      latest = message;
      const sentence = message + reasonFor(code);
      log.error(sentence, { code });
      if (LASTING.has(code)) lasting = sentence;
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
