/**
 * Reloads the configuration of a running server, all or nothing.
 *
 * @module
 */

import { isDeepStrictEqual } from "node:util";
import { type Log, messageOf, PlugboardError, type Plugin } from "../../../core/mod.ts";
import type { Access } from "../../auth.ts";
import type { Broker, Channels } from "../../channels.ts";
import type { Reloaded } from "../../http_api.ts";
import type { RateLimits } from "../../rate_limits.ts";
import type { Webhooks } from "../../webhooks.ts";
import type { Declared } from "./declared.ts";
import type { Loaded } from "./load.ts";
import type { Settings } from "./settings.ts";
import { wiringOptions } from "./wiring.ts";

/** Options of {@linkcode reloading}. */
export interface ReloadOptions {
  /** What was loaded at the start. */
  readonly loaded: Loaded;
  /** Whose namespaces are replaced. */
  readonly bus: Pick<Channels, "prepareNamespaces">;
  /** The broker of namespaces on disk. */
  readonly durable: Broker;
  /** Whose API keys are replaced. */
  readonly access: Pick<Access, "prepareApiKeys">;
  /** The limits. */
  readonly limits: Pick<RateLimits, "prepare">;
  /** Whose receivers are replaced; without it, new ones need a restart. */
  readonly hooks: Pick<Webhooks, "prepare"> | undefined;
  /** The queries and mutations. */
  readonly declarations: Declared;
}

/** What reloading offers. */
export interface Reloading {
  /** Loads the options again. Rejects with sentences, and changes nothing, if they are wrong. */
  reload(): Promise<Reloaded>;
  /** Returns the options in force, as {@linkcode Loaded.lines}. */
  lines(): string[];
}

/**
 * Reloads at SIGHUP and on request.
 *
 * ```ts ignore
 * const { reload } = server.use(reloading({ loaded, bus, durable, access, limits, hooks, declarations }));
 * console.log((await reload()).restart);
 * ```
 */
export function reloading(options: ReloadOptions): Plugin<Reloading> {
  let current = options.loaded.settings;
  let lines = options.loaded.lines();
  let last: Promise<unknown> = Promise.resolve();
  let log: Log | undefined;

  function prepare(next: Settings, declared: () => void): { commits: (() => void)[]; result: Reloaded } {
    const changed = changesOf(current, next);
    const { limits, defaults, namespaces, auth, receivers } = wiringOptions({
      ...next,
      channels: current.channels, // which need a restart
    });
    const commits: (() => void)[] = [];
    const done = new Set<string>();
    const take = (names: readonly string[], make: () => () => void) => {
      const own = names.filter((name) => changed.includes(name));
      if (own.length === 0) return;
      commits.push(make());
      for (const name of own) done.add(name);
    };
    take(["namespaces", "durable"], () => {
      return options.bus.prepareNamespaces({ namespaces: namespaces(options.durable), defaults });
    });
    take(["apiKeys"], () => options.access.prepareApiKeys(auth.apiKeys ?? []));
    if ((current.limits === "off") === (next.limits === "off")) {
      take(["limits"], () => options.limits.prepare(limits.limits ?? {}));
    }
    const { hooks } = options;
    if (hooks !== undefined) {
      take(["webhooks", "webhookUrl", "webhookSecrets"], () => hooks.prepare(receivers));
    }
    take(["queries", "mutations"], () => declared);
    return { commits, result: { reloaded: [...done], restart: changed.filter((name) => !done.has(name)) } };
  }

  function loadAgain(): Loaded {
    const { file, again } = options.loaded;
    const next = again();
    // Without the file, all options would be the defaults. Some editors remove a file before they write it.
    if (file !== undefined && next.file === undefined) {
      throw new PlugboardError("bad_setting", `There is no file ${file}`);
    }
    return next;
  }

  async function reloadNow(): Promise<Reloaded> {
    let loaded: Loaded;
    let prepared: ReturnType<typeof prepare>;
    try {
      loaded = loadAgain();
      const declared = await options.declarations.prepare(loaded.settings);
      // Nothing waits from here to the last commit, so that what was checked stays true.
      prepared = prepare(loaded.settings, declared);
    } catch (error) {
      const message = messageOf(error).replaceAll("Cannot start ", "");
      log?.error("the configuration was not reloaded", { reason: message });
      throw new PlugboardError("bad_request", `Nothing was reloaded: ${message}`);
    }
    for (const commit of prepared.commits) commit();
    const { reloaded, restart } = prepared.result;
    // The next reload names what needs a restart again.
    current = {
      ...loaded.settings,
      ...Object.fromEntries(restart.map((name) => [name, current[name as keyof Settings]])),
    };
    const waits = (line: string) => restart.includes(line.split(/[ .]/)[0]!);
    lines = [...loaded.lines().filter((line) => !waits(line)), ...lines.filter(waits)];
    log?.info("the configuration was reloaded", { reloaded, restart });
    return prepared.result;
  }

  const reload = () => {
    const result = last.then(reloadNow, reloadNow);
    last = result.catch(() => {});
    return result;
  };
  const hangUp = () => void reload().catch(() => {});

  return {
    name: "reloading",
    api: { reload, lines: () => lines },
    start(host) {
      log = host.log;
      for (const warning of options.loaded.warnings) log.warn(warning);
      if (Deno.build.os !== "windows") Deno.addSignalListener("SIGHUP", hangUp);
    },
    stop() {
      if (Deno.build.os !== "windows") Deno.removeSignalListener("SIGHUP", hangUp);
    },
  };
}

/** The names of options with different values. */
function changesOf(before: Settings, after: Settings): string[] {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]) as Set<keyof Settings>;
  return [...names].filter((name) => name !== "$schema" && !isDeepStrictEqual(before[name], after[name]));
}
