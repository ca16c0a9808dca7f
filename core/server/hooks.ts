/**
 * Calls the plugins' hooks. Each hook's list is built once, at start. Every call is guarded: a plugin that throws or
 * rejects costs one message or one connection, never the process.
 *
 * @module
 */

import type { Closed } from "../contract/close_codes.ts";
import type { Connection } from "../contract/connection.ts";
import type { Upgrade } from "../contract/endpoint.ts";
import { refusal } from "../contract/errors.ts";
import { requestRefusal } from "../contract/http_errors.ts";
import type { Message } from "../contract/framing.ts";
import { consoleSink, type Log, logFor, type LogSink } from "../contract/log.ts";
import type { AnyPlugin, HookName } from "../contract/plugin.ts";
import { attempt, type MaybePromise } from "../contract/promises.ts";
import type { GateHooks } from "../http/gate.ts";

/** A plugin that has the hook. */
type With<H extends HookName> = AnyPlugin & Required<Pick<AnyPlugin, H>>;

function having<H extends HookName>(plugins: readonly AnyPlugin[], hook: H): readonly With<H>[] {
  return plugins.filter((plugin): plugin is With<H> => typeof plugin[hook] === "function");
}

/** The hooks of all plugins, in the order of `use`. */
export class HookRunner implements GateHooks {
  readonly #upgrade: readonly With<"upgrade">[];
  readonly #open: readonly With<"open">[];
  readonly #close: readonly With<"close">[];
  readonly #message: readonly With<"message">[];
  readonly #drain: readonly With<"drain">[];
  readonly #sink: LogSink;

  constructor(plugins: readonly AnyPlugin[], sink: LogSink = sinkOf(plugins)) {
    this.#upgrade = having(plugins, "upgrade");
    this.#open = having(plugins, "open");
    this.#close = having(plugins, "close");
    this.#message = having(plugins, "message");
    this.#drain = having(plugins, "drain");
    this.#sink = sink;
  }

  /** Returns the first refusal; no promise where no hook waits. A hook that fails refuses too: it may be a check. */
  upgrade(upgrade: Upgrade): MaybePromise<Response | undefined> {
    const plugins = this.#upgrade;
    for (let i = 0; i < plugins.length; i++) {
      const answer = this.#ask(plugins[i]!, upgrade);
      if (answer instanceof Promise) return this.#askRest(answer, upgrade, i + 1);
      if (answer !== undefined) return answer;
    }
  }

  #ask(plugin: With<"upgrade">, upgrade: Upgrade): MaybePromise<Response | undefined> {
    return attempt(() => plugin.upgrade(upgrade), (error) => this.refused(plugin.name, "upgrade", error));
  }

  async #askRest(
    answer: Promise<Response | undefined>,
    upgrade: Upgrade,
    next: number,
  ): Promise<Response | undefined> {
    let refused = await answer;
    for (let i = next; refused === undefined && i < this.#upgrade.length; i++) {
      refused = await this.#ask(this.#upgrade[i]!, upgrade);
    }
    return refused;
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

  /** Returns whether a plugin dropped the message. A hook that fails drops it too, since it may be a check. */
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

  /** Calls all drain hooks at once and waits for them. */
  async drain(): Promise<void> {
    await Promise.all(this.#drain.map(async (plugin) => {
      try {
        await plugin.drain();
      } catch (error) {
        this.failed(plugin.name, "drain", error);
      }
    }));
  }

  /** Logs a failure with the names of the plugin and the hook. */
  failed(plugin: string, hook: string, error: unknown): void {
    this.logOf(plugin).error(`${hook} failed`, { hook, error });
  }

  /** Returns the response to an error. One that is not about the request is logged, and tells clients nothing. */
  refused(plugin: string, hook: string, error: unknown): Response {
    const known = requestRefusal(error);
    if (known !== undefined) return known;
    this.failed(plugin, hook, error);
    return refusal(500, "internal", "Internal server error");
  }

  /** Returns the log of a plugin. */
  logOf(plugin: string): Log {
    return logFor(plugin, this.#sink);
  }

  /** Logs a rejection. The types refuse `async` hooks, but an untyped one must not end the process. */
  contain(plugin: string, hook: string, returned: unknown): void {
    if (returned instanceof Promise) returned.catch((error) => this.failed(plugin, hook, error));
  }
}

/** Passes each record to all `log` hooks. Failures of a hook go to the console. */
function sinkOf(plugins: readonly AnyPlugin[]): LogSink {
  const loggers = having(plugins, "log");
  if (loggers.length === 0) return consoleSink;
  return (record) => {
    for (const plugin of loggers) {
      const failed = (error: unknown) =>
        logFor(plugin.name, consoleSink).error("log failed", { hook: "log", error });
      try {
        const returned: unknown = plugin.log(record);
        if (returned instanceof Promise) returned.catch(failed);
      } catch (error) {
        failed(error);
      }
    }
  };
}
