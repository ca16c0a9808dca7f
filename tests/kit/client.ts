import { Inbox, within } from "./wait.ts";

/** The close code that the client received. */
export interface ClientClosed {
  code: number;
  reason: string;
}

/** A WebSocket client whose messages are awaited one by one. */
export class Client implements AsyncDisposable {
  readonly socket: WebSocket;
  /** Resolves when the connection has ended. */
  readonly closed: Promise<ClientClosed>;
  readonly #inbox = new Inbox<string | Uint8Array>();

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => this.#inbox.put(typeof data === "string" ? data : new Uint8Array(data));
    this.closed = new Promise((resolve) => {
      socket.onclose = ({ code, reason }) => {
        this.#inbox.end(new Error(`The connection was closed with ${code} ${reason}`));
        resolve({ code, reason });
      };
    });
  }

  /** Connects; rejects if the server refuses. */
  static async connect(
    url: string,
    protocols: string[] = [],
    headers: Record<string, string> = {},
    client?: Deno.HttpClient,
  ): Promise<Client> {
    const options = { protocols, headers, ...(client && { client }) };
    const socket = new WebSocket(url.replace(/^http/, "ws"), options as unknown as string[]);
    const connected = new Client(socket);
    await within(
      `connecting to ${url}`,
      new Promise<void>((resolve, reject) => {
        socket.onopen = () => resolve();
        socket.onerror = (event) => {
          event.preventDefault();
          reject(new Error((event as ErrorEvent).message));
        };
      }),
    );
    socket.onerror = (event) => event.preventDefault();
    return connected;
  }

  send(message: string | Uint8Array<ArrayBuffer>): void {
    this.socket.send(message);
  }

  sendJson(message: unknown): void {
    this.socket.send(JSON.stringify(message));
  }

  /** Returns the next message. */
  next(ms?: number): Promise<string | Uint8Array> {
    return this.#inbox.next("a message", ms);
  }

  /** Returns the next message, which must be text. */
  async nextText(ms?: number): Promise<string> {
    const message = await this.next(ms);
    if (typeof message !== "string") throw new Error("Expected text, got bytes");
    return message;
  }

  /** Returns the next message, parsed. */
  // deno-lint-ignore no-explicit-any -- tests check its shape
  async nextJson(ms?: number): Promise<any> {
    return JSON.parse(await this.nextText(ms));
  }

  /** The number of messages that were not taken yet. */
  get waiting(): number {
    return this.#inbox.size;
  }

  async close(code = 1000): Promise<void> {
    if (this.socket.readyState !== WebSocket.CLOSED) {
      this.socket.close(code);
      await within("the close", this.closed);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
