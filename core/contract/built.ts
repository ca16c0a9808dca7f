/**
 * Knows which plugins were built, and from what, so that a start can say which of them was forgotten.
 *
 * @module
 */

import { PlugboardError } from "./errors.ts";
import type { AnyPlugin } from "./plugin.ts";

/** Plugins by their APIs. Like the other maps here it is weak, so it keeps nothing alive. */
const pluginOf = new WeakMap<object, AnyPlugin>();
/** The plugins that were built with an API. */
const builtWith = new WeakMap<object, Set<AnyPlugin>>();
/** The options that a plugin was built from. */
const optionsOf = new WeakMap<AnyPlugin, object>();
/** The plugins that run within one that was built. */
const innerOf = new WeakMap<AnyPlugin, readonly AnyPlugin[]>();
/** The plugins that servers use, with their APIs and hooks: a plugin that was copied is used as well. */
const used = new WeakSet<object>();
/** The plugins that were built since the newest server was made, until it starts. */
let latest: AnyPlugin[] | undefined;
let servers = 0;

/**
 * Returns the plugin, and remembers the options that it was built from. If one of them is the API of a plugin that no
 * server uses, the start fails with a sentence. If the plugin itself is forgotten, the server of its services warns.
 * `inner` are plugins that this one wraps and runs itself.
 *
 * ```ts
 * import { built, type Plugin } from "@plugboard/server";
 * import type { Channels } from "@plugboard/server/channels";
 *
 * function greeter(options: { channels: Channels }): Plugin {
 *   return built({ name: "greeter", open: () => void options.channels.publish("news", "hello") }, options);
 * }
 * ```
 */
export function built<P extends AnyPlugin>(
  plugin: P,
  options: object = {},
  inner: readonly AnyPlugin[] = [],
): P {
  const { api } = plugin as { api?: unknown };
  if (isObject(api)) pluginOf.set(api, plugin);
  optionsOf.set(plugin, options);
  innerOf.set(plugin, inner);
  latest?.push(plugin);
  for (const [option, service] of services(options)) {
    if (optionsOf.has(service as AnyPlugin)) {
      const rule = `must be what server.use(…) returned, got the plugin ${
        (service as AnyPlugin).name
      } itself`;
      throw new PlugboardError("bad_option", `Cannot start ${plugin.name}: "${option}" ${rule}`);
    }
    if (!pluginOf.has(service)) continue;
    const dependents = builtWith.get(service) ?? new Set();
    builtWith.set(service, dependents.add(plugin));
  }
  return plugin;
}

/** Records that a server uses the plugin. */
export function markUsed(plugin: AnyPlugin): void {
  for (const part of partsOf(plugin)) used.add(part);
  innerOf.get(plugin)?.forEach(markUsed);
}

function isUsed(plugin: AnyPlugin): boolean {
  return partsOf(plugin).some((part) => used.has(part));
}

/** Returns the plugin, its API and its hooks. */
function partsOf(plugin: AnyPlugin): object[] {
  const { api } = plugin as { api?: unknown };
  const hooks = Object.values(plugin).filter((value) => typeof value === "function");
  return [plugin, ...hooks, ...(isObject(api) ? [api] : [])];
}

/** Begins to remember the plugins that are built for a new server. Returns its number. */
export function serverMade(): number {
  latest = [];
  return ++servers;
}

/** Throws if a plugin was built with the API of one that no server uses. */
export function checkServices(plugin: AnyPlugin): void {
  for (const [option, service] of services(optionsOf.get(plugin) ?? {})) {
    const owner = pluginOf.get(service);
    if (owner === undefined || isUsed(owner)) continue;
    const forgotten = `its "${option}" is of a plugin ${owner.name} that no server uses`;
    const advice = `add it with server.use(…), and pass what that returns`;
    throw new PlugboardError("unused_plugin", `Cannot start ${plugin.name}: ${forgotten}; ${advice}`);
  }
}

/**
 * Returns the names of plugins that are not used, and were built with the API of one of these or since the server was made.
 * Call it at the start of the server.
 */
export function forgotten(plugins: readonly AnyPlugin[], server: number): Set<string> {
  const dependents = plugins.flatMap((plugin) => {
    const { api } = plugin as { api?: unknown };
    return isObject(api) ? [...builtWith.get(api) ?? []] : [];
  });
  // With a newer server, it is not known which one the latest plugins are for.
  const own = server === servers ? latest ?? [] : [];
  if (server === servers) latest = undefined;
  return new Set([...dependents, ...own].filter((each) => !isUsed(each)).map(({ name }) => name));
}

function services(options: object): [string, object][] {
  return Object.entries(options).filter((entry): entry is [string, object] => isObject(entry[1]));
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
