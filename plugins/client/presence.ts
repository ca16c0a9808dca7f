import type { Status } from "./live.ts";
import { sharedStore, type Store } from "./store.ts";
import { joinChannel } from "./subscription.ts";
import type { ClientError, ClientInfo, SdkClient, SdkSubscription } from "./types.ts";

/** Who is in a channel. */
export interface PresenceState {
  /** The connections; a user with two tabs has two. */
  readonly clients: readonly ClientInfo[];
  /** Whether they are up to date. */
  readonly status: Status;
  /** Why it failed; while it is not `failed`, the SDK tries again. */
  readonly error: ClientError | undefined;
}

const ALONE: PresenceState = Object.freeze({
  clients: Object.freeze([]),
  status: "loading",
  error: undefined,
});

/** How long to wait after a temporary error. */
const RETRY_MS = 500;

/**
 * Returns who is in a channel as a store. It needs the permission to read presence.
 *
 * ```ts ignore
 * const stop = presence(client, "chat:lobby").subscribe(({ clients }) => console.log(clients.length, "here"));
 * ```
 */
export function presence(client: SdkClient, channel: string): Store<PresenceState> {
  return sharedStore<PresenceState>(client, `presence ${channel}`, ALONE, (set) => {
    let clients = new Map<string, ClientInfo>();
    let loaded = false;
    let error: ClientError | undefined;
    /** Counts subscribes: the answer to an earlier one is too late. */
    let attempt = 0;
    /** Joins and leaves while an answer is awaited. */
    let meanwhile: (() => void)[] | undefined;
    let retry: ReturnType<typeof setTimeout> | undefined;
    let shown = ALONE.clients;
    const show = (status: Status) => set({ clients: shown, status, error });
    function showClients(): void {
      shown = [...clients.values()];
      show("live");
    }

    async function load(subscription: SdkSubscription): Promise<void> {
      const mine = ++attempt;
      meanwhile = [];
      try {
        const present = await subscription.presence();
        if (mine !== attempt) return;
        clients = new Map(Object.entries(present.clients));
        for (const change of meanwhile) change();
        loaded = true;
        error = undefined;
        showClients();
      } catch (reason) {
        if (mine !== attempt) return;
        error = reason as ClientError;
        const { code, temporary } = reason as ClientError & { readonly temporary?: boolean };
        if (!temporary && code >= 100) return show("failed");
        show(loaded ? "stale" : "loading");
        retry = setTimeout(() => void load(subscription), RETRY_MS);
      } finally {
        if (mine === attempt) meanwhile = undefined;
      }
    }

    function change(what: () => void): void {
      if (meanwhile !== undefined) return void meanwhile.push(what);
      what();
      if (loaded) showClients();
    }

    /** An answer or an attempt that is under way is too late. */
    function away(): void {
      attempt++;
      clearTimeout(retry);
    }

    const leave = joinChannel(client, channel, {
      subscribing() {
        away();
        show(loaded ? "stale" : "loading");
      },
      subscribed: (_, subscription) => void load(subscription),
      join: (info) => change(() => clients.set(info.client, info)),
      leave: (info) => change(() => clients.delete(info.client)),
      failed(reason, final) {
        error = reason;
        away();
        if (final) shown = ALONE.clients; // Nobody tells any more who comes and goes.
        show(final ? "failed" : loaded ? "stale" : "loading");
      },
    }, { joinLeave: true });
    return () => {
      away();
      leave();
    };
  });
}
