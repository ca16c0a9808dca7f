/**
 * Calls into plugins. Each hook's list is built once, at start; every call is guarded, so that a plugin that
 * throws or rejects costs one message or one connection and never the process.
 *
 * @module
 */

import type { Closed } from "../contract/close_codes.ts";
import type { Connection } from "../contract/connection.ts";
import type { Upgrade } from "../contract/endpoint.ts";
import { refusal } from "../contract/errors.ts";
import type { Message } from "../contract/framing.ts";
import { consoleSink, type Log, logFor, type LogSink } from "../contract/log.ts";
import type { AnyPlugin, HookName } from "../contract/plugin.ts";
import type { GateHooks } from "../http/gate.ts";

/** A plugin that has the hook. */
type With<H extends HookName> = AnyPlugin & Required<Pick<AnyPlugin, H>>;

/** The hooks of all plugins, in the order of `use`. */
export class HookRunner implements GateHooks {
  readonly #upgrade: readonly With<"upgrade">[];
  readonly #open: readonly With<"open">[];
  readonly #close: readonly With<"close">[];
  readonly #message: readonly With<"message">[];
  readonly #drain: readonly With<"drain">[];
  readonly #sink: LogSink;

  constructor(plugins: readonly AnyPlugin[], sink: LogSink) {
    const having = <H extends HookName>(hook: H) =>
      plugins.filter((plugin): plugin is With<H> => typeof plugin[hook] === "function");
    this.#upgrade = having("upgrade");
    this.#open = having("open");
    this.#close = having("close");
    this.#message = having("message");
    this.#drain = having("drain");
    this.#sink = sink;
  }

  /** The first refusal. A hook that fails refuses too: a check that could not be made was not passed. */
  async upgrade(upgrade: Upgrade): Promise<Response | undefined> {
    for (const plugin of this.#upgrade) {
      try {
        const refusal = await plugin.upgrade(upgrade);
        if (refusal !== undefined) return refusal;
      } catch (error) {
        this.failed(plugin.name, "upgrade", error);
        return refusal(500, "internal", "Internal server error");
      }
    }
  }

  open(conn: Connection, upgrade: Upgrade): void {
    for (const plugin of this.#open) {
      try {
        this.contain(plugin.name, "open", plugin.open(conn, upgrade));
      } catch (error) {
        this.failed(plugin.name, "open", error);
      }
    }
  }

  close(conn: Connection, why: Closed): void {
    for (const plugin of this.#close) {
      try {
        this.contain(plugin.name, "close", plugin.close(conn, why));
      } catch (error) {
        this.failed(plugin.name, "close", error);
      }
    }
  }

  /** Whether a plugin dropped the message. One that fails drops it: it may have been the check that counts. */
  message(conn: Connection, data: Message): boolean {
    const plugins = this.#message;
    for (let i = 0; i < plugins.length; i++) {
      const plugin = plugins[i]!;
      try {
        const verdict = plugin.message(conn, data);
        if (verdict === true) return true;
        if (verdict !== undefined) this.contain(plugin.name, "message", verdict);
      } catch (error) {
        this.failed(plugin.name, "message", error);
        return true;
      }
    }
    return false;
  }

  /** All at once; ends when the slowest has. */
  async drain(): Promise<void> {
    await Promise.all(this.#drain.map(async (plugin) => {
      try {
        await plugin.drain();
      } catch (error) {
        this.failed(plugin.name, "drain", error);
      }
    }));
  }

  /** Logs a failure with the plugin's and the hook's name. */
  failed(plugin: string, hook: string, error: unknown): void {
    this.logOf(plugin).error(`${hook} failed`, { hook, error });
  }

  /** A log that speaks in the plugin's name. */
  logOf(plugin: string): Log {
    return logFor(plugin, this.#sink);
  }

  /** The types refuse an `async` function here; one that came in untyped must still not end the process. */
  contain(plugin: string, hook: string, returned: unknown): void {
    if (returned instanceof Promise) returned.catch((error) => this.failed(plugin, hook, error));
  }
}

/** Everybody with a `log` hook hears every line; a failing one is passed over, there is nowhere to tell it. */
export function sinkOf(plugins: readonly AnyPlugin[]): LogSink {
  const takers = plugins.filter((plugin) => plugin.log !== undefined);
  if (takers.length === 0) return consoleSink;
  return (record) => {
    for (const plugin of takers) {
      const failed = (error: unknown) =>
        consoleSink({
          level: "error",
          plugin: plugin.name,
          message: "log failed",
          fields: { hook: "log", error },
        });
      try {
        const returned: unknown = plugin.log!(record);
        if (returned instanceof Promise) returned.catch(failed);
      } catch (error) {
        failed(error);
      }
    }
  };
}
