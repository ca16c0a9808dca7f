/**
 * One path: its members, and the routing between them and the server client.
 *
 * @module
 */

import { closeCode, type Connection } from "../../core/mod.ts";
import type { Verb } from "../shared/identity.ts";
import type { Listeners } from "./listeners.ts";
import type { Mailboxes } from "./mailboxes.ts";
import { type LifecycleOptions, ServerClientLifecycle } from "./server_client_lifecycle.ts";
import {
  type Delivery,
  type FrameEncoder,
  type JoinOptions,
  type Member,
  type PathState,
  SERVER_ID,
  type ServerClientFactory,
  type ServerSide,
} from "./types.ts";

/** What a path needs from the service. */
export interface PathOptions
  extends Pick<LifecycleOptions, "path" | "clock" | "log" | "operationTimeoutMs" | "heldLimits"> {
  readonly listeners: Listeners;
  readonly mailboxes: Mailboxes;
  readonly createServerClient: ServerClientFactory | undefined;
  /** Whether the path is removed when it is no longer in use. */
  readonly autoCleanup: boolean;
  /** Called when the path is no longer in use and its server client has stopped. */
  readonly onUnused: () => void;
  /** Called for each message of a member. */
  readonly onMessage: () => void;
}

const replaced = closeCode(4509, "replaced by a newer connection of the same client");

/** A path, from its first use to its last. */
export class Path implements ServerSide {
  readonly #options: PathOptions;
  readonly #members = new Map<string, PathMember>();
  readonly #lifecycle: ServerClientLifecycle;
  /** How many callers keep the path loaded. */
  #keepers = 0;

  constructor(options: PathOptions) {
    this.#options = options;
    const { path, listeners } = options;
    this.#lifecycle = new ServerClientLifecycle({
      ...options,
      create: () => options.createServerClient?.(this),
      members: () => this.#members.values(),
      onState: (state, error) =>
        listeners.emit("state", { path, state, ...(error !== undefined && { error }) }),
      onStopped: options.onUnused,
    });
  }

  get path(): string {
    return this.#options.path;
  }

  get serverClient(): Pick<
    ServerClientLifecycle,
    "state" | "error" | "client" | "held" | "settled" | "close"
  > {
    return this.#lifecycle;
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

  /** Adds a member and delivers the messages that were kept for it. */
  join(options: JoinOptions): Member {
    const { mailboxes, listeners } = this.#options;
    const member = new PathMember(this, options);
    const former = this.#members.get(member.id);
    this.#members.set(member.id, member);
    if (former === undefined) listeners.emit("clientJoined", { path: this.path, client: member.id });
    else {
      former.replace();
      this.#lifecycle.notify("left", former);
    }
    for (const { from, payload } of mailboxes.take(this.path, member.id)) member.receive(from, payload);
    this.#lifecycle.notify("joined", member);
    this.#lifecycle.setNeeded(true);
    return member;
  }

  /** Keeps the path loaded until the returned function is called. */
  keepLoaded(): () => void {
    this.#keepers++;
    this.#lifecycle.setNeeded(true);
    let kept = true;
    return () => {
      if (!kept) return;
      kept = false;
      this.#keepers--;
      this.#releaseIfUnused();
    };
  }

  /** Removes a member. Its messages are kept if it is resumable. */
  leave(member: PathMember, resumable: boolean): void {
    if (this.#members.get(member.id) !== member) return;
    this.#members.delete(member.id);
    if (resumable) this.#options.mailboxes.open(this.path, member.id);
    this.#lifecycle.notify("left", member);
    this.#options.listeners.emit("clientLeft", { path: this.path, client: member.id });
    this.#releaseIfUnused();
  }

  /** Routes a message of a member. */
  route(from: PathMember, to: string, payload: string, fragments: readonly string[] | undefined): Delivery {
    const { listeners, onMessage } = this.#options;
    onMessage();
    if (listeners.has("message")) {
      listeners.emit("message", { path: this.path, client: from.id, to, payload });
    }
    if (to === SERVER_ID) return this.#lifecycle.message(from, payload);
    if (to !== "") return this.#sendTo(to, from.id, payload, fragments);
    if (fragments === undefined) this.#broadcast(from.id, payload, from);
    else for (const fragment of fragments) this.#broadcast(from.id, fragment, from);
    const delivery = this.#lifecycle.message(from, payload);
    return delivery === "no_server" ? "delivered" : delivery;
  }

  send(to: string, payload: string, from: string = SERVER_ID): Delivery {
    return this.#sendTo(to, from, payload, undefined);
  }

  broadcast(payload: string, except?: string, from: string = SERVER_ID): number {
    return this.#broadcast(from, payload, except === undefined ? undefined : this.#members.get(except));
  }

  #sendTo(to: string, from: string, payload: string, fragments: readonly string[] | undefined): Delivery {
    const member = this.#members.get(to);
    if (member === undefined) return this.#options.mailboxes.add(this.path, to, { from, payload });
    for (const part of fragments ?? [payload]) member.receive(from, part);
    return "delivered";
  }

  /** Encodes the frame once for all members with the same encoder. */
  #broadcast(from: string, payload: string, except: PathMember | undefined): number {
    let encoder: FrameEncoder | undefined;
    let frame = "";
    let receivers = 0;
    for (const member of this.#members.values()) {
      if (member === except) continue;
      if (member.encoder !== encoder) {
        encoder = member.encoder;
        frame = encoder.encode(from, payload);
      }
      if (member.conn.send(frame)) receivers++;
    }
    return receivers;
  }

  #releaseIfUnused(): void {
    if (this.#members.size === 0 && this.#keepers === 0 && this.#options.autoCleanup) {
      this.#lifecycle.setNeeded(false);
    }
  }
}

class PathMember implements Member {
  readonly id: string;
  readonly permission: Verb;
  readonly conn: Connection;
  readonly encoder: FrameEncoder;
  readonly #path: Path;
  readonly #resumable: boolean;
  /** Whether it has left, or was replaced by a newer connection of the same client. */
  #gone = false;

  constructor(path: Path, { conn, encoder, id, permission = "write", resumable = false }: JoinOptions) {
    this.id = id ?? crypto.randomUUID();
    this.permission = permission;
    this.conn = conn;
    this.encoder = encoder;
    this.#path = path;
    this.#resumable = resumable;
  }

  get path(): string {
    return this.#path.path;
  }

  get state(): PathState {
    return this.#path.serverClient.state;
  }

  send(to: string, payload: string, fragments?: readonly string[]): Delivery {
    return this.#gone ? "unknown_client" : this.#path.route(this, to, payload, fragments);
  }

  deliver(payload: string): void {
    this.receive(SERVER_ID, payload);
  }

  receive(from: string, payload: string): void {
    this.conn.send(this.encoder.encode(from, payload));
  }

  leave(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#path.leave(this, this.#resumable);
  }

  replace(): void {
    this.#gone = true;
    this.conn.close(replaced);
  }
}
