/** The kernel with a minimal plugin for fan-out and echo. */

import { Audience, type Framing, type Plugin, Server } from "../../../core/mod.ts";
import { echo } from "../../../plugins/protocols/echo.ts";
import { announce } from "./announce.ts";

/** Sends every message to all clients. Some framings join several messages to one frame. */
function room(name: string, framing: Framing<"text">): Plugin {
  const readers = new Audience();
  return {
    name,
    endpoints: [{
      name,
      path: `/${name}`,
      framing: () => framing,
      open(conn) {
        readers.add(conn);
        return { message: (text: string) => void readers.send(text), close: () => void readers.delete(conn) };
      },
    }],
  };
}

const server = new Server({ port: 0, maxConnections: 1_000_000, maxConnectionsPerIp: 1_000_000 });
server.use(room("frames", { accepts: "text", format: Symbol("frames") }));
server.use(room("lines", {
  accepts: "text",
  format: Symbol("lines"),
  join: (messages) => messages.join("\n"),
}));
server.use(echo());
await server.start();
announce(server.address.port);
