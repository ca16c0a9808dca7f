/**
 * Hooks for React: the stores of the client, for as long as a component uses them. Components that use the same rows or
 * channels share one subscription.
 *
 * ```tsx ignore
 * import { useLive } from "@plugboard/server/client/react";
 *
 * function Orders({ status }: { status: string }) {
 *   const { rows, error } = useLive(client, "ordersByStatus", { status });
 *   if (error) return <p>{error.message}</p>;
 *   return <ul>{rows.map(({ id, customer }) => <li key={id}>{customer}</li>)}</ul>;
 * }
 * ```
 *
 * @module
 */

import { useMemo, useSyncExternalStore } from "react";
import { channel, live, presence } from "./mod.ts";
import type {
  ChannelOptions,
  ChannelState,
  ChannelStore,
  Client,
  LiveState,
  ParamsOf,
  PresenceState,
  QueryName,
  RowOf,
  SdkClient,
  Store,
} from "./mod.ts";

/** Options of {@linkcode useLive}. */
export interface LiveOptions {
  /**
   * Shows the rows of the earlier parameters, with the status `loading`, until those of the new ones are there, so that a table does
   * not flash when a filter changes. @default {false}
   */
  readonly keepPrevious?: boolean;
}

/**
 * Returns the rows of a live query.
 *
 * ```ts ignore
 * const { rows, status, error } = useLive(client, "ordersByStatus", { status: "pending" }, { keepPrevious: true });
 * ```
 */
export function useLive<Api, Name extends QueryName<Api>>(
  client: Client<Api>,
  name: Name,
  ...rest: [...params: ParamsOf<NoInfer<Api>, Name>, options?: LiveOptions]
): LiveState<RowOf<Api, Name>> {
  const [params, { keepPrevious = false } = {}] = rest as unknown as [unknown?, LiveOptions?];
  const [state] = useStore(
    client,
    live(client, name, ...([params] as unknown as ParamsOf<NoInfer<Api>, Name>)),
  );
  const shown = useMemo(() => ({ rows: state.rows }), [client, name]);
  if (state.status !== "loading") shown.rows = state.rows;
  const { rows } = shown;
  return useMemo(() => keepPrevious && state.status === "loading" ? { ...state, rows } : state, [
    state,
    rows,
    keepPrevious,
  ]);
}

/**
 * Returns the publications of a channel, and the function that publishes.
 *
 * ```ts ignore
 * const { publications, publish } = useChannel<{ text: string }>(client, "chat:lobby", { history: 50 });
 * ```
 */
// deno-lint-ignore no-explicit-any -- JSON of the app
export function useChannel<Data = any>(
  client: SdkClient,
  name: string,
  options?: ChannelOptions,
): ChannelState<Data> & Pick<ChannelStore<Data>, "publish"> {
  const [state, { publish }] = useStore(client, channel<Data>(client, name, options));
  return useMemo(() => ({ ...state, publish }), [state, publish]);
}

/**
 * Returns who is in a channel.
 *
 * ```ts ignore
 * const { clients } = usePresence(client, "chat:lobby");
 * ```
 */
export function usePresence(client: SdkClient, name: string): PresenceState {
  return useStore(client, presence(client, name))[0];
}

/** Keeps the first of equal stores, since React subscribes again to a new one. */
function useStore<State, S extends Store<State>>(client: SdkClient, store: S & Store<State>): [State, S] {
  const stable = useMemo(() => store, [client, store.key]);
  return [useSyncExternalStore(stable.subscribe, stable.getSnapshot, stable.getSnapshot), stable];
}
