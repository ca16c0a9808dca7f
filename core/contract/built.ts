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
const used = new WeakSet<AnyPlugin>();

/**
 * Returns the plugin, and remembers the options that it was built from. If one of them is the API of a plugin that no
 * server uses, the start fails with a sentence. If the plugin itself is forgotten, the server of its services warns.
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
export function built<P extends AnyPlugin>(plugin: P, options: object = {}): P {
  const { api } = plugin as { api?: unknown };
  if (isObject(api)) pluginOf.set(api, plugin);
  optionsOf.set(plugin, options);
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
  used.add(plugin);
}

/** Throws if a plugin was built with the API of one that no server uses. */
export function checkServices(plugin: AnyPlugin): void {
  for (const [option, service] of services(optionsOf.get(plugin) ?? {})) {
    const owner = pluginOf.get(service);
    if (owner === undefined || used.has(owner)) continue;
    const forgotten = `its "${option}" is of a plugin ${owner.name} that no server uses`;
    const advice = `add it with server.use(…), and pass what that returns`;
    throw new PlugboardError("unused_plugin", `Cannot start ${plugin.name}: ${forgotten}; ${advice}`);
  }
}

/** Returns the names of plugins that were built with the API of this one, and are not used. */
export function unusedWith(plugin: AnyPlugin): string[] {
  const { api } = plugin as { api?: unknown };
  const dependents = isObject(api) ? builtWith.get(api) ?? [] : [];
  return [...dependents].filter((each) => !used.has(each)).map(({ name }) => name);
}

function services(options: object): [string, object][] {
  return Object.entries(options).filter((entry): entry is [string, object] => isObject(entry[1]));
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
