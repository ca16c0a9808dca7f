import { queryChannel } from "../shared/live_channels.ts";
import { liveRows } from "../shared/live_rows.ts";
import { sharedStore, type Store } from "./store.ts";
import { joinChannel } from "./subscription.ts";
import type { Client, ClientError, ParamsOf, QueryName, RowOf } from "./types.ts";

/**
 * Whether a store is up to date: `loading` until it has its first value, `live`, `stale` while the connection is away, and
 * `failed` when it has ended for good.
 */
export type Status = "loading" | "live" | "stale" | "failed";

/** The rows of a live query. */
export interface LiveState<Row> {
  /** The rows; empty at first. A new array after each change. */
  readonly rows: readonly Row[];
  /** Whether they are up to date. */
  readonly status: Status;
  /** Why it failed; while it is not `failed`, the SDK tries again. */
  readonly error: ClientError | undefined;
}

const LOADING: LiveState<never> = Object.freeze({
  rows: Object.freeze([]),
  status: "loading",
  error: undefined,
});

/**
 * Returns the rows of a live query as a store.
 *
 * ```ts ignore
 * const orders = live(client, "ordersByStatus", { status: "pending" });
 * const stop = orders.subscribe(({ rows, status }) => console.log(status, rows.length));
 * ```
 */
export function live<Api, Name extends QueryName<Api>>(
  client: Client<Api>,
  name: Name,
  ...rest: ParamsOf<NoInfer<Api>, Name>
): Store<LiveState<RowOf<Api, Name>>> {
  type State = LiveState<RowOf<Api, Name>>;
  // A parameter without a value is left out.
  const given = Object.entries(rest[0] ?? {}).filter(([, value]) => value !== undefined && value !== null);
  const channel = queryChannel(name, Object.fromEntries(given));
  return sharedStore<State>(client, channel, LOADING, (set) => {
    // deno-lint-ignore no-explicit-any -- rows are objects
    const rows = liveRows<any>();
    let loaded = false;
    let error: ClientError | undefined;
    const show = (status: Status) => set({ rows: loaded ? rows.rows : LOADING.rows, status, error });
    return joinChannel(client, channel, {
      subscribing: () => show(loaded ? "stale" : "loading"),
      subscribed({ data }) {
        if (data !== undefined) rows.apply(data);
        loaded = true;
        error = undefined;
        show("live");
      },
      publication({ data }) {
        rows.apply(data);
        show("live");
      },
      failed(reason, final) {
        error = reason;
        show(final ? "failed" : loaded ? "stale" : "loading");
      },
    });
  });
}
