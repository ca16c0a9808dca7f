import { type Clock, type Log, type MaybePromise, within } from "../../core/mod.ts";
import { backoffMs } from "../shared/backoff.ts";
import { type HeldMessageLimits, HeldMessages } from "./held_messages.ts";
import type { Delivery, PathState, Sender, ServerClient } from "./types.ts";

/** What the lifecycle needs from its path. */
export interface LifecycleOptions {
  readonly path: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Timeout of each operation of the server client. */
  readonly operationTimeoutMs: number;
  readonly heldLimits: HeldMessageLimits;
  readonly create: () => MaybePromise<ServerClient | undefined>;
  /** The members that are there when the client becomes ready. */
  readonly members: () => Iterable<Sender>;
  readonly onState: (state: PathState, error?: unknown) => void;
  /** Called when the client is stopped and not needed. */
  readonly onStopped: () => void;
}

/**
 * Starts a path's server client when the path is first used, delivers the messages held meanwhile, and flushes and
 * stops it when the path is no longer in use; one operation at a time. If it is needed again while it stops, a new one
 * is created after it has stopped.
 */
export class ServerClientLifecycle {
  readonly #options: LifecycleOptions;
  readonly #held: HeldMessages;
  #state: PathState | "stopped" = "stopped";
  #client: ServerClient | undefined;
  /** The client while its `load` or `start` runs. */
  #startingClient: ServerClient | undefined;
  #error: unknown;
  #needed = false;
  #closing = false;
  #running = false;
  #settled: Promise<void> = Promise.resolve();
  #failures = 0;
  /** Ends the wait for the next retry. */
  #endWait = () => {};

  constructor(options: LifecycleOptions) {
    this.#options = options;
    this.#held = new HeldMessages(options.heldLimits);
  }

  get state(): PathState {
    return this.#state === "stopped" ? "starting" : this.#state;
  }

  /** The error of the last start, if it failed. */
  get error(): unknown {
    return this.#error;
  }

  /** The client, if it is ready. */
  get client(): ServerClient | undefined {
    return this.#state === "ready" ? this.#client : undefined;
  }

  /** The number of held messages. */
  get held(): number {
    return this.#held.size;
  }

  /** Starts the client, or flushes and stops it. */
  setNeeded(needed: boolean): void {
    this.#needed = needed;
    if (!this.#running) this.#settled = this.#run();
  }

  /** Stops the client, even if it cannot be flushed. */
  async close(): Promise<void> {
    this.#closing = true;
    this.setNeeded(false);
    this.#endWait();
    await this.#settled;
  }

  /** Resolves when the client is ready or has failed. */
  async settled(): Promise<void> {
    await this.#settled;
  }

  /** Delivers a message to the client, or holds it. */
  message(from: Sender, payload: string): Delivery {
    if (this.#state === "ready") {
      if (this.#client === undefined) return "no_server";
      this.#deliver(this.#client, from, payload);
      return "delivered";
    }
    if (this.#state === "failed") return "server_failed";
    if (this.#held.size === 0 && this.#handleEarly(from, payload)) return "delivered";
    return this.#held.add(from, payload) ? "held" : "overflow";
  }

  /** Calls a hook of the client, if it is ready. */
  notify(hook: "joined" | "left", member: Sender): void {
    this.#call(hook, () => this.client?.[hook]?.(member));
  }

  async #run(): Promise<void> {
    this.#running = true;
    for (;;) {
      if (this.#needed && this.#state === "stopped") await this.#start();
      else if (!this.#needed && this.#state === "ready") await this.#stopFlushed();
      else if (!this.#needed && this.#state === "failed") this.#dropHeld();
      else break;
    }
    this.#running = false;
    if (this.#state === "stopped") this.#options.onStopped();
  }

  async #start(): Promise<void> {
    try {
      this.#setState("starting");
      const creating = this.#options.create();
      const client = await this.#within("creating", creating, (late) => void this.#stop(late));
      this.#client = client;
      if (client !== undefined) {
        this.#setState("configured");
        this.#startingClient = client;
        const loading = client.load?.();
        this.#handleHeldEarly();
        await this.#within("loading", loading);
        this.#handleHeldEarly();
        await this.#within("starting", client.start?.());
      }
      this.#startingClient = undefined;
      this.#failures = 0;
      this.#ready();
    } catch (error) {
      this.#startingClient = undefined;
      await this.#stop(this.#client);
      this.#fail(error);
    }
  }

  #ready(): void {
    this.#error = undefined;
    this.#setState("ready");
    for (const member of this.#options.members()) this.notify("joined", member);
    const client = this.#client;
    if (client === undefined) return;
    for (const { from, payload } of this.#held.take()) this.#deliver(client, from, payload);
  }

  /** Schedules a retry. The held messages are delivered when it succeeds. */
  #fail(error: unknown): void {
    this.#error = error;
    const { path, log, clock } = this.#options;
    log.error("a path's server client could not be started", { path, error });
    this.#setState("failed", error);
    this.#endWait = clock.after(this.#retryMs(), () => {
      if (this.#state !== "failed") return;
      this.#state = "stopped";
      this.setNeeded(this.#needed);
    });
  }

  #dropHeld(): void {
    this.#endWait();
    const dropped = this.#held.take().length;
    const { path, log } = this.#options;
    if (dropped > 0) log.warn("messages for a path's failed server client were dropped", { path, dropped });
    this.#state = "stopped";
  }

  async #stopFlushed(): Promise<void> {
    const client = this.#client;
    if (client?.flush !== undefined && !await this.#flush(client)) return;
    if (this.#needed) return; // a member joined during the flush
    this.#setState("stopping");
    await this.#stop(client);
    this.#state = "stopped";
  }

  /** Returns `false` after a failure, when it is time to retry. */
  async #flush(client: ServerClient): Promise<boolean> {
    try {
      await this.#within("flushing", client.flush!());
      this.#failures = 0;
      return true;
    } catch (error) {
      const { path, log, clock } = this.#options;
      log.error("a path's changes could not be stored", { path, error });
      if (this.#closing) return true;
      const { promise, resolve } = Promise.withResolvers<void>();
      const cancel = clock.after(this.#retryMs(), resolve);
      this.#endWait = () => (cancel(), resolve());
      await promise;
      return false;
    }
  }

  async #stop(client: ServerClient | undefined): Promise<void> {
    if (this.#client === client) this.#client = undefined; // it may belong to an earlier start
    try {
      await this.#within("stopping", client?.stop?.());
    } catch (error) {
      this.#logFailure("stop", error);
    }
  }

  #deliver(client: ServerClient, from: Sender, payload: string): void {
    const work = this.#call("message", () => client.message(from, payload));
    if (work instanceof Promise) work.catch((error) => this.#logFailure("message", error));
  }

  #handleHeldEarly(): void {
    this.#held.takeWhile(({ from, payload }) => this.#handleEarly(from, payload));
  }

  #handleEarly(from: Sender, payload: string): boolean {
    return this.#call("handleEarly", () => this.#startingClient?.handleEarly?.(from, payload)) ?? false;
  }

  #setState(state: PathState, error?: unknown): void {
    this.#state = state;
    this.#options.onState(state, error);
  }

  /** Calls a hook of the client. Logs what it throws. */
  #call<T>(hook: string, call: () => T): T | undefined {
    try {
      return call();
    } catch (error) {
      this.#logFailure(hook, error);
    }
  }

  #logFailure(hook: string, error: unknown): void {
    this.#options.log.error(`a path's server client failed in ${hook}`, { path: this.#options.path, error });
  }

  #retryMs(): number {
    return backoffMs(this.#failures++);
  }

  #within<T>(operation: string, work: MaybePromise<T>, late?: (result: T) => void): Promise<T> {
    const { clock, operationTimeoutMs, path } = this.#options;
    const what = `${operation} the server client of ${JSON.stringify(path)}`;
    return within(clock, operationTimeoutMs, what, work, late);
  }
}
