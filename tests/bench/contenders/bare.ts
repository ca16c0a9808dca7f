/** The reference: Deno's server and a loop over its sockets. */

import { announce } from "./announce.ts";

const readers = new Set<WebSocket>();

function join(socket: WebSocket): void {
  socket.onopen = () => readers.add(socket);
  socket.onmessage = ({ data }) => {
    for (const reader of readers) reader.send(data);
  };
  socket.onclose = () => readers.delete(socket);
}

function echo(socket: WebSocket): void {
  socket.onmessage = ({ data }) => socket.send(data);
}

Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: ({ port }) => announce(port) }, (request) => {
  const { socket, response } = Deno.upgradeWebSocket(request);
  if (request.url.endsWith("/echo")) echo(socket);
  else join(socket);
  return response;
});
