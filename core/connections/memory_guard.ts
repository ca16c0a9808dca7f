/**
 * The memory guard: keeps clients from using up the memory.
 *
 * The runtime joins the fragments of a message before anyone sees it, without a limit and without a sign of which
 * connection they arrive on. A client of this program that sends frames without FIN uses 150 MB per second, and nothing is
 * called:
 *
 * ```ts ignore
 * Deno.serve((request) => {
 *   const { socket, response } = Deno.upgradeWebSocket(request);
 *   socket.onmessage = socket.onerror = socket.onclose = () => console.log("never printed");
 *   return response;
 * });
 * setInterval(() => console.log(Deno.memoryUsage().rss), 1_000);
 * ```
 *
 * But such a client completes no message meanwhile. So when memory is short, all clients are pinged, and those that have
 * completed no message since then are disconnected.
 *
 * @module
 */

import type { Clock } from "../contract/clock.ts";
import { type CloseCode, closeCodes } from "../contract/close_codes.ts";
import type { Log } from "../contract/log.ts";
import type { MemoryState } from "../contract/plugin.ts";
import type { MemoryUse } from "./memory.ts";

/** What the guard sees of a connection. */
export interface Guarded {
  readonly openedAt: number;
  /** Pings since its last complete message; infinite before the first message, and 0 if it cannot send fragments. */
  readonly quietPings: number;
  /** Bytes of its messages, in and out, that wait in this process. */
  readonly heldBytes: number;
  close(why: CloseCode): void;
}

/** What the guard needs. */
export interface MemoryGuardOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Maximum bytes of the process. */
  readonly maxBytes: number;
  readonly connections: Iterable<Guarded>;
  /** Pings all connections. */
  readonly pingAll: () => void;
  /** Ends closed connections whose clients have not answered yet. */
  readonly endClosing: () => void;
  readonly read: (maxBytes: number) => MemoryUse;
  readonly collectGarbage: () => void;
}

/**
 * How often memory is read. While clients send faster than the runtime can read, nothing else runs: measured, ten of them
 * delay a check by one to four seconds. With TLS, it came after 15 seconds.
 */
const CHECK_MS = 100;

/** From which part of the limit on a level begins, and below which it ends. */
const LEVELS = [{ from: 0, until: 0 }, { from: 0.8, until: 0.75 }, { from: 1, until: 0.9 }] as const;

/** New clients are refused for this much longer. Those that were disconnected may come back and go on. */
const HOLD_MS = 2_000;

/** From this part of the limit on, all suspicious clients are disconnected at once. */
const EMERGENCY = 1.25;

/** How long clients may take to answer the ping. */
const ANSWER_MS = 500;

/** Collecting garbage blocks the event loop, so it is not done more often, and takes at most this share of the time. */
const COLLECT_MS = 30_000;
const COLLECT_SHARE = 0.01;

/** Clients are disconnected in this many batches, of at most so many clients. */
const BATCHES = 4;
const MAX_BATCH = 500;

/** A client for which this much waits is suspicious, too. */
const MUCH_BYTES = 131_072;

/** When no suspicious client is left, clients are pinged again after this much growth, as part of the limit. */
const GROWTH = 1 / 16;

/** Watches the memory, refuses new clients, and disconnects suspicious ones. */
export class MemoryGuard implements MemoryState {
  readonly #options: MemoryGuardOptions;
  #level: MemoryState["level"] = 0;
  #bytes = 0;
  /** When memory was last short. */
  #shortAt = -Infinity;
  #collectFrom = -Infinity;
  #pingedAt = -Infinity;
  #checks = 0;
  #checksAtPing = -Infinity;
  #batch = 0;
  #closedSome = false;
  /** Below this part of the limit, disconnecting more clients does not help. */
  #huntFrom = 0;
  #disconnected = 0;
  #cancel: (() => void) | undefined;

  constructor(options: MemoryGuardOptions) {
    this.#options = options;
  }

  get level(): MemoryState["level"] {
    return this.#level;
  }

  get maxBytes(): number {
    return this.#options.maxBytes;
  }

  /** A sentence if new clients are refused. */
  get problem(): string | undefined {
    if (this.#level === 0) return undefined;
    const [used, max] = [this.#bytes, this.maxBytes].map((bytes) => Math.round(bytes / 1_048_576));
    return `New clients are refused, because memory is short: ${used} of ${max} MB in use`;
  }

  start(): void {
    this.#cancel = this.#options.clock.every(CHECK_MS, () => this.#check());
  }

  stop(): void {
    this.#cancel?.();
  }

  #check(): void {
    const { clock, endClosing } = this.#options;
    this.#checks++;
    if (this.#closedSome || this.#level === 2) endClosing();
    let part = this.#read();
    const now = clock.monotonicTime();
    if (now >= this.#collectFrom && Math.max(this.#levelAt(part), this.#level) > 0) {
      this.#options.collectGarbage();
      const endedAt = clock.monotonicTime();
      this.#collectFrom = endedAt + Math.max(COLLECT_MS, (endedAt - now) / COLLECT_SHARE);
      part = this.#read();
    }
    const level = this.#levelAt(part);
    if (level > 0) this.#shortAt = now;
    this.#change(level === 0 && now - this.#shortAt < HOLD_MS ? 1 : level);
    // The memory of those that were ended is free at the next check.
    if (this.#closedSome) this.#closedSome = false;
    else if (this.#level === 2) this.#disconnectSome(part);
  }

  #read(): number {
    const { bytes, part } = this.#options.read(this.maxBytes);
    this.#bytes = bytes;
    return part;
  }

  #levelAt(part: number): MemoryState["level"] {
    const at = (level: 1 | 2) => part >= (this.#level >= level ? LEVELS[level].until : LEVELS[level].from);
    return at(2) ? 2 : at(1) ? 1 : 0;
  }

  #change(level: MemoryState["level"]): void {
    const before = this.#level;
    if (level === before) return;
    this.#level = level;
    const { log } = this.#options;
    const fields = { bytes: this.#bytes, maxBytes: this.maxBytes, disconnected: this.#disconnected };
    if (level === 0) {
      log.info("memory suffices again, new clients are accepted", fields);
      this.#disconnected = 0;
    } else if (level === 2) {
      log.error("memory is used up, clients that complete no message are disconnected", fields);
      this.#batch = this.#huntFrom = 0;
      if (this.#answered) this.#ping();
    } else if (before === 0) {
      log.warn("memory is short, new clients are refused", fields);
      this.#ping();
    } else {
      log.info("no more clients are disconnected, but new ones are still refused", fields);
    }
  }

  #ping(): void {
    this.#pingedAt = this.#options.clock.monotonicTime();
    this.#checksAtPing = this.#checks;
    this.#options.pingAll();
  }

  /** Whether answers to the last ping have had the time to arrive, and to be read. */
  get #answered(): boolean {
    const ms = this.#options.clock.monotonicTime() - this.#pingedAt;
    return ms >= ANSWER_MS && this.#checks - this.#checksAtPing > 1;
  }

  #disconnectSome(part: number): void {
    if (part < this.#huntFrom) return;
    if (this.#huntFrom > 0) {
      this.#batch = this.#huntFrom = 0;
      this.#ping();
    }
    if (!this.#answered) return;
    const suspicious = [...this.#options.connections].filter(isSuspicious).sort(bySuspicion);
    if (suspicious.length === 0) this.#huntFrom = part + GROWTH;
    this.#batch ||= Math.min(MAX_BATCH, Math.ceil(suspicious.length / BATCHES));
    for (const conn of part >= EMERGENCY ? suspicious : suspicious.slice(0, this.#batch)) {
      conn.close(closeCodes.outOfMemory);
      this.#disconnected++;
      this.#closedSome = true;
    }
  }
}

function isSuspicious({ quietPings, heldBytes }: Guarded): boolean {
  return quietPings > 0 || heldBytes >= MUCH_BYTES;
}

/** First those for which much waits, then those that never completed a message or longest ago, then the newest. */
function bySuspicion(a: Guarded, b: Guarded): number {
  const much = ({ heldBytes }: Guarded) => heldBytes >= MUCH_BYTES ? heldBytes : 0;
  if (much(a) !== much(b)) return much(b) - much(a);
  return a.quietPings === b.quietPings ? b.openedAt - a.openedAt : b.quietPings - a.quietPings;
}
