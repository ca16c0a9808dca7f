/** A network between the nodes and Redis, which tests cut. */
export class TcpProxy implements Disposable {
  readonly port: number;
  /** Drops what is sent, in both directions, and keeps the connections. */
  silent = false;
  /** Drops only what the server sends. */
  mute = false;
  readonly #listener: Deno.TcpListener;
  readonly #target: number;
  readonly #open = new Set<Deno.Conn>();

  constructor(target: number) {
    this.#target = target;
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.port = this.#listener.addr.port;
    void this.#accept();
  }

  /** Closes all connections. New ones are accepted. */
  cut(): void {
    for (const conn of this.#open) this.#close(conn);
  }

  [Symbol.dispose](): void {
    this.#listener.close();
    this.cut();
  }

  async #accept(): Promise<void> {
    for await (const client of this.#listener) {
      const server = await Deno.connect({ hostname: "127.0.0.1", port: this.#target });
      this.#open.add(client).add(server);
      void this.#copy(client, server, () => this.silent);
      void this.#copy(server, client, () => this.silent || this.mute);
    }
  }

  async #copy(from: Deno.Conn, to: Deno.Conn, drops: () => boolean): Promise<void> {
    const buffer = new Uint8Array(65_536);
    try {
      for (let n = await from.read(buffer); n !== null; n = await from.read(buffer)) {
        for (let sent = 0; sent < n && !drops();) sent += await to.write(buffer.subarray(sent, n));
      }
    } catch { /* It is closed. */ }
    this.#close(from);
    this.#close(to);
  }

  #close(conn: Deno.Conn): void {
    if (!this.#open.delete(conn)) return;
    conn.close();
  }
}
