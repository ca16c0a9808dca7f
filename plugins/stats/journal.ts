/** What happened to a connection, for operators. */
export interface JournalEntry {
  /** Milliseconds since 1970. */
  readonly time: number;
  /** What happened. */
  readonly event: "connected" | "disconnected" | "recovered" | "not recovered";
  /** The connection id. */
  readonly client: string;
  /** The user id; empty before sign-in and for an anonymous client. */
  readonly user: string;
  /** The channel of a recovery. */
  readonly channel?: string;
  /** The close code. */
  readonly code?: number;
  /** The reason of the close. */
  readonly reason?: string;
  /** Who closed the connection. */
  readonly by?: string;
}

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

  /** Returns the latest entries of a user or a client, the newest first. */
  of({ user, client }: { readonly user?: string; readonly client?: string }): JournalEntry[] {
    const found: JournalEntry[] = [];
    const { length } = this.#entries;
    for (let i = 1; i <= length && found.length < MAX_READ; i++) {
      const entry = this.#entries[(this.#next - i + length) % length]!;
      if (user !== undefined ? entry.user === user : entry.client === client) found.push(entry);
    }
    return found;
  }
}
