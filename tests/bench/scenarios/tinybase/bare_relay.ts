/** The reference for a TinyBase relay: Deno's sockets, with only the client id in the messages replaced. */

import { announce } from "../../contenders/announce.ts";

const paths = new Map<string, Map<string, WebSocket>>();
let nextId = 0;

Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: ({ port }) => announce(port) }, (request) => {
  const { socket, response } = Deno.upgradeWebSocket(request);
  const path = new URL(request.url).pathname;
  const id = `client-${nextId++}`;
  socket.onopen = () => {
    const clients = paths.get(path) ?? new Map<string, WebSocket>();
    paths.set(path, clients.set(id, socket));
    socket.onmessage = ({ data }) => {
      const split = data.indexOf("\n");
      const to = data.slice(0, split);
      const frame = id + data.slice(split);
      if (to !== "") clients.get(to)?.send(frame);
      else for (const client of clients.values()) if (client !== socket) client.send(frame);
    };
    socket.onclose = () => clients.delete(id);
  };
  return response;
});
