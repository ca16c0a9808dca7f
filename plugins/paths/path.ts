/**
 * One path: its members, and the routing between them and the server's own client.
 *
 * @module
 */

import { closeCode, type Connection } from "../../core/mod.ts";
import type { Verb } from "../shared/identity.ts";
import type { Listeners } from "./listeners.ts";
import type { Mail } from "./mail.ts";
import { Seat, type SeatOptions } from "./seat.ts";
import {
  type Delivery,
  type JoinOptions,
  type Member,
  type PathState,
  SERVER_ID,
  type ServerClientFactory,
  type ServerSide,
  type Wire,
} from "./types.ts";

/** What a path needs from the service. */
export interface PathOptions extends Pick<SeatOptions, "clock" | "log" | "operationTimeoutMs" | "hold"> {
  readonly id: string;
  readonly listeners: Listeners;
  readonly mail: Mail;
  readonly serverClient: ServerClientFactory | undefined;
  /** Whether the server client is stopped when nobody needs it. */
  readonly cleanup: boolean;
  /** Nobody needs the path any more and its server client is stopped. */
  readonly unused: () => void;
  /** A member sent a message. */
  readonly counted: () => void;
}

/** The client came back on another connection before this one was known to be dead. */
export const replaced = closeCode(4509, "replaced by a newer connection of the same client");

/** A path, from its first user to its last. */
export class Path implements ServerSide {
  readonly #options: PathOptions;
  readonly #members = new Map<string, Place>();
  readonly #seat: Seat;
  #holders = 0;

  constructor(options: PathOptions) {
    this.#options = options;
    const { id: path, clock, log, operationTimeoutMs, hold, serverClient, listeners, unused } = options;
    this.#seat = new Seat({
      path,
      clock,
      log,
      operationTimeoutMs,
      hold,
      create: () => serverClient?.(this),
      members: () => this.#members.values(),
      changed: (state, error) =>
        listeners.tell("state", { path, state, ...(error !== undefined && { error }) }),
      emptied: unused,
    });
  }

  get path(): string {
    return this.#options.id;
  }

  get seat(): Pick<Seat, "state" | "error" | "client" | "held" | "settled" | "close"> {
    return this.#seat;
  }

  get size(): number {
    return this.#members.size;
  }

  clientIds(): string[] {
    return [...this.#members.keys()];
  }

  has(client: string): boolean {
    return this.#members.has(client);
  }

  /** Adds a member, and hands it what was kept for it. */
  join(options: JoinOptions): Member {
    const { mail, listeners } = this.#options;
    const place = new Place(this, options);
    const former = this.#members.get(place.id);
    this.#members.set(place.id, place);
    if (former === undefined) listeners.tell("clientJoined", { path: this.path, client: place.id });
    else this.#replace(former);
    for (const { from, payload } of mail.take(this.path, place.id)) place.receive(from, payload);
    this.#seat.tell("joined", place);
    this.#seat.want();
    return place;
  }

  /** Keeps the path as it is until the returned function is called. */
  hold(): () => void {
    this.#holders++;
    this.#seat.want();
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#holders--;
      this.#releaseIfUnused();
    };
  }

  /** Removes a member that has gone. */
  leave(place: Place, returns: boolean): void {
    if (this.#members.get(place.id) !== place) return;
    this.#members.delete(place.id);
    if (returns) this.#options.mail.expect(this.path, place.id);
    this.#seat.tell("left", place);
    this.#options.listeners.tell("clientLeft", { path: this.path, client: place.id });
    this.#releaseIfUnused();
  }

  /** Routes what a member sent. */
  route(from: Place, to: string, payload: string, pieces: readonly string[] | undefined): Delivery {
    const { listeners, counted } = this.#options;
    counted();
    if (listeners.has("message")) {
      listeners.tell("message", { path: this.path, client: from.id, to, payload });
    }
    if (to === SERVER_ID) return this.#seat.message(from, payload);
    if (to !== "") return this.#deliver(from.id, to, payload, pieces);
    if (pieces === undefined) this.#spread(from.id, payload, from);
    else for (const piece of pieces) this.#spread(from.id, piece, from);
    const served = this.#seat.message(from, payload);
    return served === "no_server" ? "delivered" : served;
  }

  send(to: string, payload: string, from: string = SERVER_ID): Delivery {
    return this.#deliver(from, to, payload, undefined);
  }

  broadcast(payload: string, except?: string, from: string = SERVER_ID): number {
    return this.#spread(from, payload, except === undefined ? undefined : this.#members.get(except));
  }

  #deliver(from: string, to: string, payload: string, pieces: readonly string[] | undefined): Delivery {
    const place = this.#members.get(to);
    if (place === undefined) return this.#options.mail.keep(this.path, to, { from, payload });
    for (const piece of pieces ?? [payload]) place.receive(from, piece);
    return "delivered";
  }

  /** The frame is written once for all who share a wire. */
  #spread(from: string, payload: string, except: Place | undefined): number {
    let wire: Wire | undefined;
    let frame = "";
    let receivers = 0;
    for (const place of this.#members.values()) {
      if (place === except) continue;
      if (place.wire !== wire) {
        wire = place.wire;
        frame = wire.encode(from, payload);
      }
      if (place.conn.send(frame)) receivers++;
    }
    return receivers;
  }

  #replace(former: Place): void {
    former.replace();
    this.#seat.tell("left", former);
  }

  #releaseIfUnused(): void {
    if (this.#members.size === 0 && this.#holders === 0 && this.#options.cleanup) this.#seat.release();
  }
}

/** A member's place; the object its protocol holds. */
class Place implements Member {
  readonly id: string;
  readonly right: Verb;
  readonly conn: Connection;
  readonly wire: Wire;
  readonly #path: Path;
  readonly #returns: boolean;
  #gone = false;

  constructor(path: Path, { conn, wire, id, right = "write", returns = false }: JoinOptions) {
    this.id = id ?? crypto.randomUUID();
    this.right = right;
    this.conn = conn;
    this.wire = wire;
    this.#path = path;
    this.#returns = returns;
  }

  get path(): string {
    return this.#path.path;
  }

  get state(): PathState {
    return this.#path.seat.state;
  }

  get gone(): boolean {
    return this.#gone;
  }

  send(to: string, payload: string, pieces?: readonly string[]): Delivery {
    return this.#gone ? "unknown_client" : this.#path.route(this, to, payload, pieces);
  }

  tell(payload: string): void {
    this.receive(SERVER_ID, payload);
  }

  receive(from: string, payload: string): void {
    this.conn.send(this.wire.encode(from, payload));
  }

  leave(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#path.leave(this, this.#returns);
  }

  /** Its client has come on another connection; this one is as good as dead. */
  replace(): void {
    this.#gone = true;
    this.conn.close(replaced);
  }
}
