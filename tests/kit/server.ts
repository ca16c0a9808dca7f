import { type AnyPlugin, type Clock, type LogRecord, Server, type ServerOptions } from "../../core/mod.ts";
import { workers } from "../../plugins/workers.ts";
import { Client } from "./client.ts";
import { FakeClock } from "./clock.ts";
import { RawClient } from "./raw_client.ts";
import { Inbox } from "./wait.ts";

/** With `PLUGBOARD_TEST_WORKERS=2`, servers of the kit hold their sockets in so many workers. */
export const workerCount: number = Number(Deno.env.get("PLUGBOARD_TEST_WORKERS") ?? 0);

/** A real server on a free port, stopped at the end of the block. */
export interface TestServer extends AsyncDisposable {
  readonly server: Server;
  readonly url: string;
  readonly port: number;
  /** The warnings and errors that were logged. */
  readonly log: Inbox<LogRecord>;
  connect(path: string, protocols?: string[], headers?: Record<string, string>): Promise<Client>;
  raw(path: string, headers?: Record<string, string>): Promise<RawClient>;
  fetch(path: string, init?: RequestInit): Promise<Response>;
}

/**
 * Starts a server with these plugins.
 *
 * ```ts ignore
 * await using server = await serve({}, echo());
 * await using client = await server.connect("/echo");
 * ```
 */
export function serve(options: ServerOptions, ...plugins: AnyPlugin[]): Promise<TestServer> {
  const server = new Server({ port: 0, drainMs: 1_000, ...options });
  for (const plugin of plugins) server.use(plugin);
  return started(server, options.clock);
}

/** Starts a server with port 0. `clock` is its clock. */
export async function started(server: Server, clock?: Clock): Promise<TestServer> {
  const log = new Inbox<LogRecord>();
  server.use({
    name: "test_log",
    log: (record) => void (record.level === "error" || record.level === "warn" ? log.put(record) : undefined),
  });
  if (workerCount > 0) server.use(workers({ count: workerCount }));
  await server.start();
  const { url, port } = server.address;
  return {
    server,
    url,
    port,
    log,
    connect: (path, protocols, headers) => Client.connect(url + path, protocols, headers),
    raw: (path, headers) => RawClient.upgrade(port, path, headers),
    fetch: (path, init) => fetch(url + path, init),
    [Symbol.asyncDispose]: () => stopped(server, clock),
  };
}

/** Stops a server. Advances its clock if it is a fake, since a stop has timeouts. */
export async function stopped(server: Server, clock?: Clock): Promise<void> {
  let running = true;
  const stopping = server.stop().finally(() => running = false);
  while (clock instanceof FakeClock && running) {
    clock.advance(10);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await stopping;
}
