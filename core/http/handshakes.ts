import type { Clock } from "../contract/clock.ts";
import { endConnection } from "./socket_internals.ts";

/** How long a socket may take to open after its upgrade. */
const HANDSHAKE_MS = 10_000;

const EVENTS = ["open", "close", "error"] as const;

interface Handshake {
  readonly opened: () => void;
  readonly failed: () => void;
  readonly due: number;
}

/** Sockets that have not opened yet. One listener and one timer for all of them, since many come at once. */
export class Handshakes implements EventListenerObject {
  readonly #clock: Clock;
  /** The oldest first. */
  readonly #pending = new Map<WebSocket, Handshake>();
  #cancel: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls `opened` when a socket is open, or `failed` if it closes before or does not open in time. */
  add(socket: WebSocket, opened: () => void, failed: () => void): void {
    if (socket.readyState === WebSocket.OPEN) return opened();
    if (socket.readyState !== WebSocket.CONNECTING) return failed();
    this.#pending.set(socket, { opened, failed, due: this.#clock.monotonicTime() + HANDSHAKE_MS });
    for (const type of EVENTS) socket.addEventListener(type, this);
    // The runtime reports nothing if the client disconnected before the upgrade.
    this.#cancel ??= this.#clock.after(HANDSHAKE_MS, () => this.#expire());
  }

  handleEvent(event: Event): void {
    const socket = event.target as WebSocket;
    const { opened, failed } = this.#remove(socket);
    if (event.type === "open") return opened();
    event.preventDefault(); // or the runtime prints an error
    abandon(socket);
    failed();
  }

  #remove(socket: WebSocket): Handshake {
    const handshake = this.#pending.get(socket)!;
    this.#pending.delete(socket);
    for (const type of EVENTS) socket.removeEventListener(type, this);
    if (this.#pending.size === 0) {
      this.#cancel?.();
      this.#cancel = undefined;
    }
    return handshake;
  }

  #expire(): void {
    this.#cancel = undefined;
    const now = this.#clock.monotonicTime();
    for (const [socket, { due, failed }] of this.#pending) {
      if (due > now) {
        this.#cancel = this.#clock.after(due - now, () => this.#expire());
        return;
      }
      this.#remove(socket);
      abandon(socket);
      failed();
    }
  }
}

/** Closes a socket that opens too late. */
function abandon(socket: WebSocket): void {
  socket.addEventListener("open", () => endConnection(socket) || socket.close());
  socket.addEventListener("error", (event) => event.preventDefault());
}
