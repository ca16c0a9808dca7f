/** What happened to a connection, for operators. */
export interface JournalEntry {
  /** Milliseconds since 1970. */
  readonly time: number;
  /** What happened. */
  readonly event: "connected" | "disconnected" | "recovered" | "not recovered" | "limited";
  /** The connection id. */
  readonly client: string;
  /** The user id; empty before sign-in and for an anonymous client. */
  readonly user: string;
  /** The channel of a recovery. */
  readonly channel?: string;
  /** The close code. */
  readonly code?: number;
  /** The reason of the close, of a lost recovery, or what went beyond a limit. */
  readonly reason?: string;
  /** How often it went beyond the limit, within a minute of the first time. */
  readonly count?: number;
  /** Who closed the connection. */
  readonly by?: string;
}

/** Which entries to read: those that match all that is given. */
export type JournalFilter = Partial<Pick<JournalEntry, "user" | "client" | "event">>;

/** How many entries are remembered, and how many a reader gets. */
const MAX_ENTRIES = 5_000;
const MAX_READ = 100;

/** The latest connects, disconnects and recoveries. */
export class Journal {
  /** A ring; `#next` is the place of the oldest entry once it is full. */
  readonly #entries: JournalEntry[] = [];
  #next = 0;

  add(entry: JournalEntry): void {
    this.#entries[this.#next] = entry;
    this.#next = (this.#next + 1) % MAX_ENTRIES;
  }

  /** Returns the latest entries that match, the newest first. */
  of({ user, client, event }: JournalFilter): JournalEntry[] {
    const found: JournalEntry[] = [];
    const { length } = this.#entries;
    for (let i = 1; i <= length && found.length < MAX_READ; i++) {
      const entry = this.#entries[(this.#next - i + length) % length]!;
      if (user !== undefined && entry.user !== user || client !== undefined && entry.client !== client) {
        continue;
      }
      if (event === undefined || entry.event === event) found.push(entry);
    }
    return found;
  }
}

/** Repeats within this time are one entry, so that a client that goes beyond its limits does not fill the journal. */
const SAME_MS = 60_000;

/** The entries about limits. */
export class LimitEntries {
  readonly #latest = new WeakMap<object, Map<string, { time: number; count: number }>>();

  /** Counts; returns the entry to add, or nothing if there is one. */
  count(conn: object, what: string, about: JournalEntry): JournalEntry | undefined {
    const latest = this.#latest.getOrInsertComputed(conn, () => new Map());
    const known = latest.get(what);
    if (known !== undefined && about.time - known.time < SAME_MS) {
      known.count++;
      return;
    }
    const entry = { ...about, reason: what, count: 1 };
    latest.set(what, entry);
    return entry;
  }
}
