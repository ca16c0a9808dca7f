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

/** What a condition works with. */
export interface ConditionParts {
  readonly clock: Clock;
  readonly log: Log;
  /** Writes something, to check whether the file works again. */
  readonly probe: () => Promise<void>;
  /** Reads the whole file; rejects if it is damaged or cannot be read. */
  readonly check: () => Promise<void>;
  /** Returns what the system says about a failure. */
  readonly reasonFor: (code: string) => string;
}

/** How often to check whether a file that failed works again. */
const PROBE_MS = 1_000;

/** How long to wait before the whole file is read again. A large file takes minutes. */
const CHECK_MS = { first: 1_000, max: 600_000 };

/** Starts healthy. */
export function condition({ clock, log, probe, check, reasonFor }: ConditionParts): Condition {
  /** SQLite also takes a page that the disk failed to read for damage, so this lasts until the file has been checked. */
  let damage: string | undefined;
  let problem: string | undefined;
  /** The latest failure, without the reason. */
  let latest: string | undefined;
  let checkMs = CHECK_MS.first;
  let cancel: (() => void) | undefined;
  let ended = false;

  async function recover(): Promise<void> {
    if (damage !== undefined) {
      checkMs = Math.min(checkMs * 2, CHECK_MS.max);
      await check();
      damage = undefined;
    }
    await probe();
    if (damage !== undefined) return; // reported meanwhile
    problem = latest = undefined;
    checkMs = CHECK_MS.first;
    log.warn("The database can be written again");
  }

  function recoverLater(): void {
    if (ended || cancel !== undefined) return;
    cancel = clock.after(damage === undefined ? PROBE_MS : checkMs, async () => {
      await recover().catch(() => {}); // the failures are reported where they happen
      cancel = undefined;
      if ((damage ?? problem) !== undefined) recoverLater();
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
      if (code === "corrupt") damage = sentence;
      else problem = sentence;
      recoverLater();
    },
    end() {
      ended = true;
      cancel?.();
    },
  };
}
