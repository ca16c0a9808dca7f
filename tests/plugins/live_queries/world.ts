/** A server with live queries and a random schema, without a network, on a clock of its own. */

import { closeCodes, type Endpoint } from "../../../core/mod.ts";
import { type ChannelEncoder, channels, type Position } from "../../../plugins/channels.ts";
import { liveQueries, type LiveRows, liveRows, type Params } from "../../../plugins/live_queries.ts";
import { Result } from "../../../plugins/live_queries/result.ts";
import { queryChannel } from "../../../plugins/shared/live_channels.ts";
import { persistence, type Store } from "../../../plugins/persistence.ts";
import { anonymousIdentity } from "../../../plugins/shared/identity.ts";
import { type Shown, shown } from "../../kit/channel_protocol.ts";
import { FakeClock, offline, turn } from "../../kit/mod.ts";
import type { RandomQuery } from "./random_queries.ts";

/** Who follows a query, and what they hold. */
export interface Follower {
  readonly what: string;
  /** Whether publications reach it now. */
  readonly here: boolean;
  /** Whether the server has ended it. */
  readonly ended: boolean;
  /** What it holds, as text. */
  held(): string;
  /** What it would hold if it asked now. */
  fresh(): string;
  /** What it was in since it was last asked for without having been committed. */
  uncommitted(): string[];
  /** Notes what a commit has led to. */
  committed(): void;
  /** Asks, or asks for what it missed; the reason when it is refused. */
  come(): Promise<string | undefined>;
  leave(): void;
}

type Row = Record<string, unknown>;

const encoder: ChannelEncoder = {
  publication: (channel, { payload, offset }) =>
    `{"channel":${JSON.stringify(channel)},"offset":${offset},"data":${payload.text}}`,
  join: () => "{}",
  leave: () => "{}",
  subscribed: (channel, subscribed) => JSON.stringify({ channel, subscribed: shown(subscribed) }),
  unsubscribed: (channel) => JSON.stringify({ channel, ended: true }),
};

interface Message {
  readonly channel?: string;
  readonly offset?: number;
  readonly data?: object;
  readonly subscribed?: Shown;
  readonly ended?: boolean;
}

/** The rows, told apart by order only where the query has one. */
function textOf(rows: readonly Row[], ordered: boolean): string {
  const texts = rows.map((row) => JSON.stringify(row));
  return (ordered ? texts : texts.sort()).join("\n");
}

function freshRows(store: Store, { sql, ordered }: RandomQuery, params: Params): string {
  const { snapshot } = Result.of(store.all<Row>(sql, params), null);
  return textOf(JSON.parse(snapshot).rows, ordered);
}

/** What all kinds of followers have in common: rows, and which states were committed. */
class Holding {
  readonly query: RandomQuery;
  readonly params: Params;
  readonly #store: Store;
  rows: LiveRows<Row> = liveRows();
  here = false;
  ended = false;
  #committed = new Set<string>();
  #uncommitted: string[] = [];

  constructor(store: Store, query: RandomQuery, params: Params) {
    this.#store = store;
    this.query = query;
    this.params = params;
  }

  get what(): string {
    return `${this.query.sql} with ${JSON.stringify(this.params)}`;
  }
  apply(message: object): void {
    this.rows.apply(message);
    const held = this.held();
    if (!this.#committed.has(held)) this.#uncommitted.push(held);
  }
  held(): string {
    return textOf(this.rows.rows, this.query.ordered);
  }
  fresh(): string {
    return freshRows(this.#store, this.query, this.params);
  }
  uncommitted(): string[] {
    return this.#uncommitted.splice(0);
  }
  committed(): void {
    try {
      this.#committed.add(this.fresh());
    } catch {
      // The schema has no room for the query now.
    }
  }
}

export async function makeWorld(schema: string) {
  const clock = new FakeClock();
  const database = persistence({ path: ":memory:" });
  const bus = channels();
  const queries = liveQueries({ store: database.api, channels: bus.api, lingerMs: 50, burstMs: 5 });
  const endpoint: Endpoint = { name: "test", path: "/t", open: () => ({ message() {} }) };
  const server = await offline({ clock }, database, bus, queries, {
    name: "test_endpoint",
    endpoints: [endpoint],
  });
  const store = database.api;
  await store.exec(schema);
  let defined = 0;

  /** A client of channels: it may leave, and recover what it missed. */
  async function client(query: RandomQuery, params: Params, free: boolean): Promise<Follower> {
    const { conn, transport } = await server.connect(endpoint);
    const holding = new Holding(store, query, params);
    const name = `q${defined++}`;
    if (!free) queries.api.define(name, { sql: query.sql, params: query.params });
    const channel = queryChannel(name, params);
    let position: Position | undefined;
    let subscription: string | undefined;
    const member = bus.api.connect(conn, { identity: anonymousIdentity, encoder });

    function begun({ recovered, publications, data, position: stand }: Shown): void {
      holding.here = true;
      holding.ended = false;
      if (!recovered) holding.apply(JSON.parse(data!));
      for (const each of publications) holding.apply(JSON.parse(each.json));
      position = { epoch: stand!.epoch, offset: publications.at(-1)?.offset ?? stand!.offset };
    }
    transport.send = (frame) => {
      const { subscribed, ended, data, offset }: Message = JSON.parse(frame as string);
      if (subscribed !== undefined) return begun(subscribed);
      if (!holding.here) return; // sent before it left
      if (ended === true) {
        holding.here = false;
        holding.ended = true;
        return;
      }
      if (position!.offset + 1 !== offset) throw new Error(`After ${position!.offset} comes ${offset}`);
      position = { ...position!, offset };
      holding.apply(data!);
    };
    return Object.assign(holding, {
      async come() {
        try {
          holding.committed();
          if (free) subscription = await queries.api.subscribeToQuery(conn.id, query.sql, params);
          else {
            await member.subscribe(
              channel,
              position === undefined ? {} : { recover: position },
              (subscribed) => {
                holding.committed();
                conn.send(encoder.subscribed(channel, subscribed));
              },
            );
          }
          await turn();
        } catch (error) {
          return (error as Error).message;
        }
      },
      leave() {
        // What it was sent before has arrived, or never will.
        holding.here = false;
        if (free && subscription !== undefined) void queries.api.unsubscribeFromQuery(subscription);
        else member.unsubscribe(channel);
      },
    });
  }

  /** Code of the server's own. */
  function watcher(query: RandomQuery, params: Params): Follower {
    const holding = new Holding(store, query, params);
    const name = `q${defined++}`;
    queries.api.define(name, { sql: query.sql, params: query.params });
    let stop = () => {};
    return Object.assign(holding, {
      come() {
        try {
          const begun = { ended: false };
          const watch = queries.api.watch(
            name,
            params,
            (diff) => begun.ended || holding.apply(diff as object),
            () => {
              begun.ended = true;
              holding.here = false;
              holding.ended = true;
            },
          );
          stop = () => {
            begun.ended = true;
            watch.stop();
          };
          holding.here = true;
          holding.ended = false;
          holding.committed();
          holding.apply(watch.snapshot);
          return Promise.resolve(undefined);
        } catch (error) {
          return Promise.resolve((error as Error).message);
        }
      },
      leave() {
        holding.here = false;
        stop();
      },
    });
  }

  return {
    store,
    clock,
    queries: queries.api,
    log: server.log,
    client: (query: RandomQuery, params: Params) => client(query, params, false),
    free: (query: RandomQuery, params: Params) => client(query, params, true),
    watcher: (query: RandomQuery, params: Params) => Promise.resolve(watcher(query, params)),
    /** Lets time pass until this holds, or for long enough: what was slow once waits for its turn. */
    async rest(holds: () => boolean) {
      for (let i = 0; i < 3 || (i < 1_000 && !holds()); i++) {
        clock.advance(10);
        await turn();
      }
    },
    async [Symbol.asyncDispose]() {
      for (const conn of server.server.connections) conn.close(closeCodes.normal);
      await server[Symbol.asyncDispose]();
    },
  };
}
