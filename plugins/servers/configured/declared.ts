/**
 * Builds what a file declares: the app's tables, live queries, mutations, and publications that recur.
 *
 * @module
 */

import { hash } from "node:crypto";
import { messageOf, PlugboardError, type Plugin } from "../../../core/mod.ts";
import type { Channels } from "../../channels.ts";
import type { LiveQueries, QueryDefinition } from "../../live_queries.ts";
import type { Mutations } from "../../mutations.ts";
import type { Store } from "../../persistence.ts";
import type { Rpc } from "../../rpc.ts";
import type { Schedule } from "../../schedule.ts";
import { asset } from "../../shared/asset.ts";
import type { QuerySettings } from "./declarations.ts";
import { migrateFrom, readMigrations } from "./migrations.ts";
import { type CompiledMutation, compileMutation } from "./mutation.ts";
import { schemaText } from "./schema.ts";
import type { Settings } from "./settings.ts";
import { isAmong } from "./who.ts";

/** Options of {@linkcode declared}. */
export interface DeclaredOptions {
  /** The options. */
  readonly settings: Settings;
  /** The database. */
  readonly store: Pick<Store, "all" | "write" | "migrate" | "keyValues">;
  /** Where mutations publish. */
  readonly bus: Pick<Channels, "publish" | "namespaceOf">;
  /** The live queries. */
  readonly queries: Pick<LiveQueries, "define" | "check" | "has">;
  /** The mutations. */
  readonly changes: Pick<Mutations, "define">;
  /** The names of all methods. */
  readonly methods: Pick<Rpc, "methods">;
  /** The schedule. */
  readonly later: Pick<Schedule, "publish" | "list" | "cancel">;
}

/** What a reload uses. */
export interface Declared {
  /** Checks other declarations. Returns the function that replaces the current ones. */
  prepare(settings: Settings): Promise<() => void>;
}

/** The beginning of the ids of publications that a file declares. */
const OWN = "config:";

/**
 * Builds what a file declares.
 *
 * ```ts ignore
 * server.use(declared({ settings, store, bus, queries, changes, methods, later }));
 * ```
 */
export function declared(options: DeclaredOptions): Plugin<Declared> {
  const { store, bus, queries, changes, methods, later } = options;
  /** The functions that remove what is declared now, by their texts. */
  const current = new Map<string, () => void>();

  async function prepare({ queries: given, mutations }: Settings): Promise<() => void> {
    const wanted = new Map<string, () => () => void>();
    const ownQueries = namesOf(current.keys(), "query");
    for (const [name, query] of Object.entries(given)) {
      const definition = definitionOf(query);
      const path = `queries.${name}`;
      if (queries.has(name) && !ownQueries.has(name)) throw problem(path, "there is a query of this name");
      at(path, () => queries.check(name, definition));
      wanted.set(JSON.stringify(["query", name, query]), () => queries.define(name, definition));
    }
    const ownMutations = namesOf(current.keys(), "mutation");
    const compiled: [string, CompiledMutation][] = [];
    for (const [name, mutation] of Object.entries(mutations)) {
      const path = `mutations.${name}`;
      if (methods.methods.has(name) && !ownMutations.has(name)) {
        throw problem(path, "there is a method of this name");
      }
      const method = at(path, () => compileMutation(name, mutation, { checkChannel, publish }));
      compiled.push([path, method]);
      wanted.set(JSON.stringify(["mutation", name, mutation]), () => changes.define(name, method));
    }
    if (compiled.length > 0) {
      await store.write((tx) => {
        for (const [path, method] of compiled) at(path, () => method.check(tx));
      });
    }
    return () => {
      for (const [text, remove] of current) {
        if (wanted.has(text)) continue;
        current.delete(text);
        remove();
      }
      for (const [text, define] of wanted) if (!current.has(text)) current.set(text, define());
    };
  }

  const checkChannel = (name: string) => void bus.namespaceOf(name);
  const publish = ({ channel, data }: { channel: string; data: unknown }) => bus.publish(channel, data);

  /** The id contains what is published, so that what is declared again keeps its next moment. */
  async function plan({ schedule: given }: Settings): Promise<void> {
    const wanted = new Map(
      Object.entries(given).map((
        [name, entry],
      ) => [`${OWN}${name}:${hash("sha256", JSON.stringify(entry)).slice(0, 16)}`, [name, entry] as const]),
    );
    for (
      let after: number | undefined, page;
      page === undefined || page.length > 0;
      after = page.at(-1)?.seq
    ) {
      page = await later.list({ limit: 1_000, ...(after !== undefined && { after }) });
      for (const { channel, id, owner } of page) {
        if (owner !== undefined || !id.startsWith(OWN)) continue;
        if (wanted.get(id)?.[1].channel === channel) wanted.delete(id);
        else await later.cancel(channel, id);
      }
    }
    for (const [id, [name, { channel, data, every, timezone }]] of wanted) {
      try {
        await later.publish(channel, data, { id, every, ...(timezone !== undefined && { timezone }) });
      } catch (error) {
        throw problem(`schedule.${name}`, messageOf(error));
      }
    }
  }

  return {
    name: "declared",
    api: { prepare },
    async start({ log }) {
      const { settings } = options;
      if (settings.migrations !== undefined) {
        const files = readMigrations(settings.migrations);
        await migrateFrom(store, files, (name) => log.info("running a migration", { name }));
      }
      (await prepare(settings))();
      await plan(settings);
    },
    routes(app) {
      const answer = asset("application/json", () => schemaText, { "access-control-allow-origin": "*" });
      app.get("/plugboard.schema.json", (c) => answer(c.req.raw));
    },
    stop() {
      for (const remove of current.values()) remove();
      current.clear();
    },
  };
}

function definitionOf({ read, ...query }: QuerySettings): QueryDefinition {
  return { ...query, ...(read !== undefined && { allow: (identity) => isAmong(read, identity) }) };
}

function namesOf(texts: Iterable<string>, kind: string): Set<string> {
  return new Set(
    [...texts].map((text) => JSON.parse(text)).filter(([each]) => each === kind).map(([, name]) => name),
  );
}

/** Adds the path to an error. */
function at<T>(path: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw problem(path, messageOf(error).replace(/^Cannot start [^:]*: /, ""));
  }
}

function problem(path: string, why: string): PlugboardError {
  return new PlugboardError("bad_setting", `${path}: ${why}`);
}
