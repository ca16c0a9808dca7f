import { Inbox } from "../../kit/mod.ts";

/** A TCP proxy between clients and a server that can be interrupted. */
export interface Wire extends AsyncDisposable {
  /** The URL for clients. */
  readonly url: string;
  /** Called for every connection. */
  readonly arrivals: Inbox<void>;
  /** Closes all current connections without a close frame. */
  cut(): void;
  /** Stops or resumes what the server sends. */
  hold(held: boolean): void;
  /** Refuses or accepts new connections. */
  refuse(refused: boolean): void;
}

/** Starts a proxy to the server at `url`. */
export function wireTo(url: string): Wire {
  const { port, hostname } = new URL(url);
  const listener = Deno.listen({ port: 0, hostname });
  const open = new Set<Deno.TcpConn>();
  const arrivals = new Inbox<void>();
  const work = new Set<Promise<void>>();
  let refused = false;
  let flowing = Promise.withResolvers<void>();
  flowing.resolve();

  async function pipe(from: Deno.TcpConn, to: Deno.TcpConn, holdable: boolean): Promise<void> {
    const buffer = new Uint8Array(16_384);
    try {
      for (;;) {
        if (holdable) await flowing.promise;
        const size = await from.read(buffer);
        if (size === null) break;
        for (let sent = 0; sent < size;) sent += await to.write(buffer.subarray(sent, size));
      }
      await to.closeWrite();
    } catch { /* one of them has gone */ }
  }

  async function carry(client: Deno.TcpConn): Promise<void> {
    const server = await Deno.connect({ port: Number(port), hostname }).catch(() => undefined);
    if (server === undefined) return client.close(); // the test has stopped the server
    open.add(client).add(server);
    arrivals.put();
    await Promise.race([pipe(client, server, false), pipe(server, client, true)].map(tracked));
    end(client);
    end(server);
  }

  function tracked(running: Promise<void>): Promise<void> {
    work.add(running);
    return running.finally(() => work.delete(running));
  }

  function end(conn: Deno.TcpConn): void {
    if (open.delete(conn)) conn.close();
  }

  tracked((async () => {
    for await (const client of listener) {
      if (refused) client.close();
      else tracked(carry(client));
    }
  })());

  const wire: Wire = {
    url: `http://${hostname}:${listener.addr.port}`,
    arrivals,
    cut: () => open.forEach(end),
    hold(held) {
      if (held) flowing = Promise.withResolvers();
      else flowing.resolve();
    },
    refuse: (value) => void (refused = value),
    async [Symbol.asyncDispose]() {
      listener.close();
      wire.hold(false);
      wire.cut();
      while (work.size > 0) await Promise.all(work);
    },
  };
  return wire;
}
