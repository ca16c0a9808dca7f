/** A server with live queries and a random schema, without a network, on a fake clock. */

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

/** A subscriber with its rows. */
export interface Follower {
  readonly what: string;
  readonly subscribed: boolean;
  /** Whether the server has ended it. */
  readonly ended: boolean;
  /** Its rows as text. */
  rowsText(): string;
  /** The rows of a fresh run as text. */
  fresh(): string;
  /** Returns the states it had that were never committed, and forgets them. */
  uncommitted(): string[];
  /** Notes the result of a commit. */
  committed(): void;
  /** Subscribes or recovers; resolves to the reason if it is refused. */
  subscribe(): Promise<string | undefined>;
  unsubscribe(): void;
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

/** Rows as text; sorted unless their order is defined. */
function textOf(rows: readonly Row[], ordered: boolean): string {
  const texts = rows.map((row) => JSON.stringify(row));
  return (ordered ? texts : texts.sort()).join("\n");
}

function freshRows(store: Store, { sql, ordered }: RandomQuery, params: Params): string {
  const { snapshot } = Result.of(store.all<Row>(sql, params), null);
  return textOf(JSON.parse(snapshot).rows, ordered);
}

/** The rows of a follower and the states that were committed. */
class FollowerState {
  readonly query: RandomQuery;
  readonly params: Params;
  readonly #store: Store;
  rows: LiveRows<Row> = liveRows();
  subscribed = false;
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
    const text = this.rowsText();
    if (!this.#committed.has(text)) this.#uncommitted.push(text);
  }
  rowsText(): string {
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
      // The query is invalid in the current schema.
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

  /** A client of channels, which can recover. */
  async function client(query: RandomQuery, params: Params, isServerSql: boolean): Promise<Follower> {
    const { conn, transport } = await server.connect(endpoint);
    const state = new FollowerState(store, query, params);
    const name = `q${defined++}`;
    if (!isServerSql) queries.api.define(name, { sql: query.sql, params: query.params });
    const channel = queryChannel(name, params);
    let position: Position | undefined;
    let subscription: string | undefined;
    const member = bus.api.connect(conn, { identity: anonymousIdentity, encoder });

    function started({ recovered, publications, data, position: start }: Shown): void {
      state.subscribed = true;
      state.ended = false;
      if (!recovered) state.apply(JSON.parse(data!));
      for (const each of publications) state.apply(JSON.parse(each.json));
      position = { epoch: start!.epoch, offset: publications.at(-1)?.offset ?? start!.offset };
    }
    transport.send = (frame) => {
      const { subscribed, ended, data, offset }: Message = JSON.parse(frame as string);
      if (subscribed !== undefined) return started(subscribed);
      if (!state.subscribed) return; // sent before it unsubscribed
      if (ended === true) {
        state.subscribed = false;
        state.ended = true;
        return;
      }
      if (position!.offset + 1 !== offset) throw new Error(`After ${position!.offset} comes ${offset}`);
      position = { ...position!, offset };
      state.apply(data!);
    };
    return Object.assign(state, {
      async subscribe() {
        try {
          state.committed();
          if (isServerSql) subscription = await queries.api.subscribeToQuery(conn.id, query.sql, params);
          else {
            await member.subscribe(
              channel,
              position === undefined ? {} : { recover: position },
              (subscribed) => {
                state.committed();
                conn.send(encoder.subscribed(channel, subscribed));
              },
            );
          }
          await turn();
        } catch (error) {
          return (error as Error).message;
        }
      },
      unsubscribe() {
        state.subscribed = false;
        if (isServerSql && subscription !== undefined) void queries.api.unsubscribeFromQuery(subscription);
        else member.unsubscribe(channel);
      },
    });
  }

  /** A watcher in the server's process. */
  function watcher(query: RandomQuery, params: Params): Follower {
    const state = new FollowerState(store, query, params);
    const name = `q${defined++}`;
    queries.api.define(name, { sql: query.sql, params: query.params });
    let stop = () => {};
    return Object.assign(state, {
      subscribe() {
        try {
          let ended = false;
          const watch = queries.api.watch(
            name,
            params,
            (diff) => ended || state.apply(diff as object),
            () => {
              ended = true;
              state.subscribed = false;
              state.ended = true;
            },
          );
          stop = () => {
            ended = true;
            watch.stop();
          };
          state.subscribed = true;
          state.ended = false;
          state.committed();
          state.apply(watch.snapshot);
          return Promise.resolve(undefined);
        } catch (error) {
          return Promise.resolve((error as Error).message);
        }
      },
      unsubscribe() {
        state.subscribed = false;
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
    serverSql: (query: RandomQuery, params: Params) => client(query, params, true),
    watcher: (query: RandomQuery, params: Params) => Promise.resolve(watcher(query, params)),
    /** Advances the clock until `holds`, up to a limit; slow queries rest before they run. */
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
