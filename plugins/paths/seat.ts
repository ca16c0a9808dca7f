/**
 * The seat of the server's own client on a path: taken when somebody needs the path, given what was held
 * meanwhile, flushed and stopped when nobody does.
 *
 * @module
 */

import type { Clock, Log, MaybePromise } from "../../core/mod.ts";
import { Held, type HoldLimits } from "./held.ts";
import { inTime } from "./timeout.ts";
import type { Delivery, PathState, Sender, ServerClient } from "./types.ts";

/** What a seat needs from its path. */
export interface SeatOptions {
  readonly path: string;
  readonly clock: Clock;
  readonly log: Log;
  /** How long making, starting, flushing and stopping may take, each. */
  readonly operationTimeoutMs: number;
  readonly hold: HoldLimits;
  /** Makes the server client. */
  readonly create: () => MaybePromise<ServerClient | undefined>;
  /** Who is there when it becomes ready. */
  readonly members: () => Iterable<Sender>;
  /** Told of each step. */
  readonly changed: (state: PathState, error?: unknown) => void;
  /** The seat is empty and nobody needs it. */
  readonly emptied: () => void;
}

const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 30_000;

/**
 * Moves the server client to where it is wanted, one step at a time and never two at once: whoever comes while it
 * is being stopped waits until it is stopped, and then has it started anew.
 */
export class Seat {
  readonly #options: SeatOptions;
  readonly #held: Held;
  #state: PathState | "empty" = "empty";
  #client: ServerClient | undefined;
  /** The same between its loading and its start. */
  #loaded: ServerClient | undefined;
  #error: unknown;
  #wanted = false;
  #closing = false;
  #moving = false;
  #moved: Promise<void> = Promise.resolve();
  #failures = 0;
  #wake = () => {};

  constructor(options: SeatOptions) {
    this.#options = options;
    this.#held = new Held(options.hold);
  }

  /** How far the server client is. */
  get state(): PathState {
    return this.#state === "empty" ? "starting" : this.#state;
  }

  /** Why it failed, as long as it has. */
  get error(): unknown {
    return this.#error;
  }

  /** The server client, once it is ready. */
  get client(): ServerClient | undefined {
    return this.#state === "ready" ? this.#client : undefined;
  }

  /** Messages that wait for it. */
  get held(): number {
    return this.#held.size;
  }

  /** Somebody needs the path. */
  want(): void {
    this.#wanted = true;
    this.#move();
  }

  /** Nobody does any more. */
  release(): void {
    this.#wanted = false;
    this.#move();
  }

  /** The end: what can be stored is stored, the rest is told. */
  async close(): Promise<void> {
    this.#closing = true;
    this.release();
    this.#wake();
    await this.#moved;
  }

  /** Resolves when the server client is ready or has failed. */
  async settled(): Promise<void> {
    await this.#moved;
  }

  /** A message for the server. */
  message(from: Sender, payload: string): Delivery {
    if (this.#state === "ready") {
      if (this.#client === undefined) return "no_server";
      this.#deliver(this.#client, from, payload);
      return "delivered";
    }
    if (this.#state === "failed") return "server_failed";
    if (this.#held.size === 0 && this.#answersEarly(from, payload)) return "delivered";
    return this.#held.add(from, payload) ? "held" : "overflow";
  }

  /** Calls a hook of the server client that must not fail. */
  tell(hook: "joined" | "left", member: Sender): void {
    try {
      this.client?.[hook]?.(member);
    } catch (error) {
      this.#failed(hook, error);
    }
  }

  #move(): void {
    if (!this.#moving) this.#moved = this.#moveOn();
  }

  async #moveOn(): Promise<void> {
    this.#moving = true;
    for (;;) {
      if (this.#wanted && this.#state === "empty") await this.#fill();
      else if (!this.#wanted && this.#state === "ready") await this.#vacate();
      else if (!this.#wanted && this.#state === "failed") this.#giveUp();
      else break;
    }
    this.#moving = false;
    if (this.#state === "empty") this.#options.emptied();
  }

  async #fill(): Promise<void> {
    try {
      this.#become("starting");
      const client = await this.#inTime(
        "making the server client",
        () => this.#options.create(),
        (late) => void this.#stop(late),
      );
      this.#client = client;
      if (client !== undefined) {
        this.#become("configured");
        await this.#start(client);
      }
      this.#failures = 0;
      this.#ready();
    } catch (error) {
      await this.#stop(this.#client);
      this.#fail(error);
    }
  }

  async #start(client: ServerClient): Promise<void> {
    await this.#inTime("loading the server client", () => client.load?.());
    this.#loaded = client;
    try {
      this.#held.takeWhile(({ from, payload }) => this.#answersEarly(from, payload));
      await this.#inTime("starting the server client", () => client.start?.());
    } finally {
      this.#loaded = undefined;
    }
  }

  #ready(): void {
    this.#error = undefined;
    this.#become("ready");
    for (const member of this.#options.members()) this.tell("joined", member);
    const client = this.#client;
    if (client === undefined) return;
    for (const { from, payload } of this.#held.take()) this.#deliver(client, from, payload);
  }

  /** What is held stays: it is delivered when a later try succeeds. */
  #fail(error: unknown): void {
    this.#error = error;
    const { path, log, clock } = this.#options;
    log.error("a path's server client could not be started", { path, error });
    this.#become("failed", error);
    this.#wake = clock.after(this.#retryMs(), () => {
      if (this.#state !== "failed") return;
      this.#state = "empty";
      this.#move();
    });
  }

  #giveUp(): void {
    this.#wake();
    const lost = this.#held.take().length;
    const { path, log } = this.#options;
    if (lost > 0) log.warn("messages for a path's failed server client were dropped", { path, lost });
    this.#state = "empty";
  }

  async #vacate(): Promise<void> {
    const client = this.#client;
    if (client?.flush !== undefined && !await this.#flush(client)) return;
    if (this.#wanted) return; // somebody came back meanwhile
    this.#become("stopping");
    await this.#stop(client);
    this.#state = "empty";
  }

  /** `false` while there is something that could not be stored, and time to try again. */
  async #flush(client: ServerClient): Promise<boolean> {
    try {
      await this.#inTime("flushing the server client", () => client.flush!());
      this.#failures = 0;
      return true;
    } catch (error) {
      const { path, log, clock } = this.#options;
      log.error("a path's changes could not be stored", { path, error });
      if (this.#closing) return true;
      await new Promise<void>((resolve) => {
        const cancel = clock.after(this.#retryMs(), resolve);
        this.#wake = () => {
          cancel();
          resolve();
        };
      });
      return false;
    }
  }

  async #stop(client: ServerClient | undefined): Promise<void> {
    this.#client = undefined;
    try {
      await this.#inTime("stopping the server client", () => client?.stop?.());
    } catch (error) {
      this.#failed("stop", error);
    }
  }

  #deliver(client: ServerClient, from: Sender, payload: string): void {
    try {
      const work = client.message(from, payload);
      if (work instanceof Promise) work.catch((error) => this.#failed("message", error));
    } catch (error) {
      this.#failed("message", error);
    }
  }

  #answersEarly(from: Sender, payload: string): boolean {
    try {
      return this.#loaded?.early?.(from, payload) ?? false;
    } catch (error) {
      this.#failed("early", error);
      return false;
    }
  }

  #become(state: PathState, error?: unknown): void {
    this.#state = state;
    this.#options.changed(state, error);
  }

  #failed(hook: string, error: unknown): void {
    this.#options.log.error(`a path's server client failed in ${hook}`, { path: this.#options.path, error });
  }

  #retryMs(): number {
    return Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#failures++);
  }

  #inTime<T>(what: string, work: () => MaybePromise<T>, late?: (result: T) => void): Promise<T> {
    const { clock, operationTimeoutMs, path } = this.#options;
    return inTime(clock, operationTimeoutMs, `${what} of ${JSON.stringify(path)}`, work, late);
  }
}
