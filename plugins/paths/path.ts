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

/** A path, from its first use to its last: its members, and the routing between them and the server client. */
export class Path implements ServerSide {
  readonly serverClient: ServerClientLifecycle;
  readonly #options: PathOptions;
  readonly #members = new Map<string, PathMember>();
  /** How many callers keep the path loaded. */
  #keepers = 0;

  constructor(options: PathOptions) {
    this.#options = options;
    const { path, listeners } = options;
    this.serverClient = new ServerClientLifecycle({
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
  join(options: JoinOptions, account: string): Member {
    const { mailboxes, listeners } = this.#options;
    const member = new PathMember(this, options, account);
    const former = this.#members.get(member.id);
    this.#members.set(member.id, member);
    if (former === undefined) listeners.emit("clientJoined", { path: this.path, client: member.id });
    else {
      former.replace();
      this.serverClient.notify("left", former);
    }
    for (const { from, payload } of mailboxes.take(this.path, member.id)) member.receive(from, payload);
    this.serverClient.notify("joined", member);
    this.serverClient.setNeeded(true);
    return member;
  }

  /** Keeps the path loaded until the returned function is called. */
  keepLoaded(): () => void {
    this.#keepers++;
    this.serverClient.setNeeded(true);
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
    if (resumable) this.#options.mailboxes.open(this.path, member.id, member.account);
    this.serverClient.notify("left", member);
    this.#options.listeners.emit("clientLeft", { path: this.path, client: member.id });
    this.#releaseIfUnused();
  }

  /** Routes a message of a member. */
  route(from: PathMember, to: string, payload: string, fragments: readonly string[]): Delivery {
    const { listeners, onMessage } = this.#options;
    onMessage();
    if (listeners.has("message")) {
      listeners.emit("message", { path: this.path, client: from.id, to, payload });
    }
    if (to === SERVER_ID) return this.serverClient.message(from, payload);
    if (to !== "") return this.send(to, payload, from.id, fragments);
    for (const fragment of fragments) this.broadcast(fragment, from.id, from.id);
    const delivery = this.serverClient.message(from, payload);
    return delivery === "no_server" ? "delivered" : delivery;
  }

  send(to: string, payload: string, from = SERVER_ID, fragments: readonly string[] = [payload]): Delivery {
    const member = this.#members.get(to);
    if (member === undefined) return this.#options.mailboxes.add(this.path, to, { from, payload });
    for (const part of fragments) member.receive(from, part);
    return "delivered";
  }

  /** Encodes the frame once for all members with the same encoder. */
  broadcast(payload: string, except?: string, from = SERVER_ID): number {
    const excluded = except === undefined ? undefined : this.#members.get(except);
    let encoder: FrameEncoder | undefined;
    let frame = "";
    let receivers = 0;
    for (const member of this.#members.values()) {
      if (member === excluded) continue;
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
      this.serverClient.setNeeded(false);
    }
  }
}

class PathMember implements Member {
  readonly id: string;
  readonly permission: Verb;
  readonly conn: Connection;
  /** Under which name its mailbox counts. */
  readonly account: string;
  readonly encoder: FrameEncoder;
  readonly #path: Path;
  readonly #resumable: boolean;
  /** Whether it has left, or was replaced by a newer connection of the same client. */
  #gone = false;

  constructor(
    path: Path,
    { conn, encoder, id, permission = "write", resumable = false }: JoinOptions,
    account: string,
  ) {
    this.account = account;
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

  send(to: string, payload: string, fragments: readonly string[] = [payload]): Delivery {
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
