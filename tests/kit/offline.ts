import assert from "node:assert/strict";
import { ServerConnection } from "../../core/connections/server_connection.ts";
import { type AnyPlugin, type Endpoint, type Host, Server } from "../../core/mod.ts";
import type { LogRecord, ServerOptions } from "../../core/mod.ts";
import { stopped } from "./server.ts";
import { FakeTransport } from "./transport.ts";
import { Inbox } from "./wait.ts";

/** A server without a network. Its transports record their frames. */
export interface OfflineServer extends AsyncDisposable {
  readonly server: Server;
  /** The warnings and errors that were logged. */
  readonly log: Inbox<LogRecord>;
  /** Opens a connection at an endpoint. */
  connect(endpoint: Endpoint, ip?: string): Promise<{ conn: ServerConnection; transport: FakeTransport }>;
}

/** Starts such a server with these plugins. */
export async function offline(options: ServerOptions, ...plugins: AnyPlugin[]): Promise<OfflineServer> {
  const server = new Server({ port: false, drainMs: 1_000, ...options });
  const log = new Inbox<LogRecord>();
  let host: Host;
  server.use({
    name: "test",
    start: (given) => void (host = given),
    log: (record) => void (record.level === "error" || record.level === "warn" ? log.put(record) : undefined),
  });
  for (const plugin of plugins) server.use(plugin);
  await server.start();
  return {
    server,
    log,
    async connect(endpoint, ip = "127.0.0.1") {
      const admission = await host.admit(endpoint, new Request("http://test/"), ip);
      if (admission instanceof Response) throw new Error(`The connection was refused: ${admission.status}`);
      const transport = new FakeTransport();
      transport.onClose = admission.release;
      const { connection, incoming } = admission.open(transport);
      if (!(connection instanceof ServerConnection)) throw new Error("The server opened another connection");
      assert.equal(incoming, connection);
      return { conn: connection, transport };
    },
    [Symbol.asyncDispose]: () => stopped(server, options.clock),
  };
}
