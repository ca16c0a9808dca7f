/**
 * Owner: of several nodes, the one whose database serves all clients. Live queries, mutations, durable channels and the state
 * of paths are there; every other node refuses them with the owner's address.
 *
 * ```ts ignore
 * const { broker, cluster, leases } = server.use(redis({ urls }));
 * const mine = server.use(owner({ leases, store, address: "10.0.0.1:8080", endpoints: ["tinybase", "pipe"] }));
 * const durable = mine.broker(sqliteBroker({ store: mine.store(store) }));
 * const bus = server.use(channels({ broker, cluster, namespaces: { orders: { broker: durable } }, extensions: [mine.extension] }));
 * ```
 *
 * The node that starts first becomes the owner, and stays it: the others have other databases. When it stops, its features are
 * not available until it is back, or until another node starts with its database. A node that cannot renew its lease
 * refuses to write before another one can have the lease; a write that was under way meanwhile fails.
 *
 * A refused request has the status 421 and the header `plugboard-owner`, with which a proxy can pass it on. With
 * `?node=owner`, every request is only served by the owner.
 *
 * @module
 */

import {
  built,
  checkOptions,
  closeCodes,
  type Connection,
  httpError,
  PlugboardError,
  type Plugin,
  refusal,
  unlessUpgraded,
} from "../core/mod.ts";
import type { Broker, ChannelExtension } from "./channels.ts";
import { ownBroker } from "./owner/own_broker.ts";
import { type OwnedStore, ownStore } from "./owner/own_store.ts";
import { type Ownership, ownership } from "./owner/ownership.ts";
import type { Store } from "./persistence.ts";
import type { Leases } from "./shared/lease.ts";
import { LIVE } from "./shared/live_channels.ts";

export type { OwnedStore } from "./owner/own_store.ts";

/** Options of {@linkcode owner}. */
export interface OwnerOptions {
  /** Decides who owns. */
  leases: Leases;
  /** The database that is owned. */
  store: Pick<Store, "keyValues">;
  /** Host and port at which proxies and other nodes reach this node. */
  address: string;
  /** The endpoints that only the owner serves. @default {[]} */
  endpoints?: readonly string[];
  /** How long the lease holds without a renewal: the time until another node can take over after a crash. @default {10000} */
  ttlMs?: number;
}

/** What the owner of a database offers to other plugins. */
export interface Owner {
  /** Whether this node owns the database now. */
  readonly held: boolean;
  /** Throws `not_owner` with the owner's address, or `unavailable`, unless this node owns the database. */
  check(): void;
  /** Returns a store that only the owner writes to, and reads from. Migrations run on each node. */
  store<S extends OwnedStore>(store: S): S;
  /** Returns a store that only the owner writes to. For plugins that read at the start. */
  writer<S extends OwnedStore>(store: S): S;
  /** Returns a broker that works on the owner only. */
  broker(broker: Broker): Broker;
  /** Refuses subscriptions to live queries, except on the owner. */
  readonly extension: ChannelExtension;
}

/** The header of a refusal. */
const HEADER = "plugboard-owner";

/** Decides whether this node owns the database. Plug it in after persistence, and before what has HTTP routes. */
export function owner(options: OwnerOptions): Plugin<Owner> {
  const { leases, store, address, endpoints = [], ttlMs = 10_000 } = options;
  const guards = checkOptions("owner");
  guards.filled("address", address);
  guards.positiveInteger("ttlMs", ttlMs);
  const tokens = store.keyValues<string>("owner");
  const connections = new Set<Connection>();
  let owned: Ownership | undefined;

  function check(): void {
    if (owned?.held) return;
    if (owned?.owner === undefined) {
      throw new PlugboardError("unavailable", "No node is known to own the database at the moment");
    }
    throw new PlugboardError("not_owner", `The database is on another node: connect to ${owned.owner}`);
  }

  /** Returns the refusal of a request that only the owner serves. */
  function refused(): Response | undefined {
    try {
      check();
    } catch (error) {
      const { status, code, message, headers } = httpError(error)!;
      const at = owned?.owner;
      return refusal(status, code, message, { ...headers, ...(at !== undefined && { [HEADER]: at }) });
    }
  }

  const wantsOwner = (url: string) => /[?&]node=owner(&|$)/.test(url);

  return built({
    name: "owner",
    api: {
      get held() {
        return owned?.held ?? false;
      },
      check,
      store: (inner) => ownStore(inner, check, true),
      writer: (inner) => ownStore(inner, check, false),
      broker: (inner) => ownBroker(inner, check),
      extension: {
        name: "owner",
        beforeSubscribe(_, channel) {
          if (channel.startsWith(LIVE)) check();
        },
      },
    },
    async start({ log }) {
      const lost = () => connections.forEach((conn) => conn.close(closeCodes.shutdown));
      owned = await ownership({ leases, tokens, address, ttlMs, log, lost });
    },
    stop: () => owned?.stop(),
    upgrade({ endpoint, url }) {
      if (endpoints.includes(endpoint.name) || wantsOwner(url)) return refused();
    },
    routes(app) {
      app.use(unlessUpgraded(async (context, next) => {
        const refusal = wantsOwner(context.req.url) ? refused() : undefined;
        if (refusal !== undefined) return refusal;
        await next();
      }));
    },
    open: (conn) => void connections.add(conn),
    close: (conn) => void connections.delete(conn),
  }, options);
}
