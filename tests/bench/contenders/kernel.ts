/** This kernel, with as little on it as fan-out and echo need. */

import { Audience, type Plugin, Server } from "../../../core/mod.ts";
import { echo } from "../../../plugins/protocols/echo.ts";
import { announce } from "./announce.ts";

/** Everybody's messages go to everybody; with a separator, several may share a frame. */
function room(name: string, format: { separator?: string } = {}): Plugin {
  const readers = new Audience();
  return {
    name,
    endpoints: [{
      name,
      path: `/${name}`,
      ...format,
      open(conn) {
        readers.add(conn);
        return { message: (text) => void readers.send(text), close: () => void readers.delete(conn) };
      },
    }],
  };
}

const server = new Server({ port: 0, maxConnections: 1_000_000, maxConnectionsPerIp: 1_000_000 });
server.use(room("frames"));
server.use(room("lines", { separator: "\n" }));
server.use(echo());
await server.start();
announce(server.address.port);
