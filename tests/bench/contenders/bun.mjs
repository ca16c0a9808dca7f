// Bun with its built-in publish.

import process from "node:process";

const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  fetch(request, server) {
    const echo = request.url.endsWith("/echo");
    return server.upgrade(request, { data: { echo } }) ? undefined : new Response(null, { status: 426 });
  },
  websocket: {
    open(socket) {
      if (!socket.data.echo) socket.subscribe("room");
    },
    message(socket, data) {
      if (socket.data.echo) socket.send(data);
      else server.publish("room", data);
    },
  },
});
process.stdout.write(`listening on ${server.port}\n`);
