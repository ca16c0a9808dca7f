import type { Status } from "./live.ts";
import { sharedStore, type Store } from "./store.ts";
import { joinChannel } from "./subscription.ts";
import type { ClientError, Publication, SdkClient, SdkSubscription, StreamPosition } from "./types.ts";

/** Options of {@linkcode channel}. */
export interface ChannelOptions {
  /** How many earlier publications to load first. @default {0} */
  history?: number;
  /** How many publications to keep. @default {100, or history if it is more} */
  limit?: number;
}

/** What was published on a channel. */
export interface ChannelState<Data> {
  /** The publications, the latest last. */
  readonly publications: readonly Publication<Data>[];
  /** Whether they are up to date. */
  readonly status: Status;
  /** Why it failed; while it is not `failed`, the SDK tries again. */
  readonly error: ClientError | undefined;
}

/** A channel as a store. */
export interface ChannelStore<Data> extends Store<ChannelState<Data>> {
  /** Publishes. Rejects with the reason if the server refuses. */
  publish(data: Data): Promise<void>;
}

const NO_PUBLICATIONS: ChannelState<never> = Object.freeze({
  publications: Object.freeze([]),
  status: "loading",
  error: undefined,
});

/**
 * Returns the publications of a channel as a store.
 *
 * ```ts ignore
 * const room = channel<{ text: string }>(client, "chat:lobby", { history: 50 });
 * const stop = room.subscribe(({ publications }) => console.log(publications.at(-1)?.data.text));
 * await room.publish({ text: "Hello!" });
 * ```
 */
// deno-lint-ignore no-explicit-any -- JSON of the app
export function channel<Data = any>(
  client: SdkClient,
  name: string,
  { history = 0, limit = Math.max(100, history) }: ChannelOptions = {},
): ChannelStore<Data> {
  const key = `channel ${history} ${limit} ${name}`;
  const store = sharedStore<ChannelState<Data>>(client, key, NO_PUBLICATIONS, (set) => {
    let { publications }: ChannelState<Data> = NO_PUBLICATIONS;
    let loaded = false;
    let error: ClientError | undefined;
    const show = (status: Status) => set({ publications, status, error });
    /** Counts subscribes: the answer to an earlier one is too late. */
    let attempt = 0;

    async function load(subscription: SdkSubscription): Promise<void> {
      const mine = ++attempt;
      const live = publications.length;
      try {
        const earlier = await readHistory(subscription, history);
        if (mine !== attempt) return;
        // Those that came meanwhile may be in the answer too.
        const newest = Math.max(0, ...earlier.map(({ offset = 0 }) => offset));
        const since = publications.slice(live).filter(({ offset = Infinity }) => offset > newest);
        publications = [...earlier.toReversed(), ...since].slice(-limit);
        loaded = true;
        error = undefined;
        show("live");
      } catch (reason) {
        if (mine !== attempt) return;
        error = reason as ClientError;
        loaded = true; // new publications come all the same
        show("live");
      }
    }

    return joinChannel(client, name, {
      subscribing() {
        attempt++;
        show(loaded ? "stale" : "loading");
      },
      subscribed({ recovered }, subscription) {
        if (history > 0 && !(loaded && recovered)) return void load(subscription);
        loaded = true;
        error = undefined;
        show("live");
      },
      publication(publication) {
        publications = [...publications, publication].slice(-limit);
        if (loaded) show("live");
      },
      failed(reason, final) {
        error = reason;
        attempt++;
        show(final ? "failed" : loaded ? "stale" : "loading");
      },
    });
  });
  return { ...store, publish: async (data) => void await client.publish(name, data) };
}

/** Returns the latest publications, the newest first. A server sends a long history in several parts. */
async function readHistory(subscription: SdkSubscription, count: number): Promise<Publication[]> {
  const all: Publication[] = [];
  let since: { since: StreamPosition } | undefined;
  while (all.length < count) {
    const limit = count - all.length;
    const { publications, epoch } = await subscription.history({ limit, reverse: true, ...since });
    all.push(...publications);
    const { offset = 1 } = publications.at(-1) ?? {};
    if (offset <= 1) break;
    since = { since: { offset, epoch } };
  }
  return all;
}
