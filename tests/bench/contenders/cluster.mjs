// Two processes that share a port and nothing else, under `node:cluster`: Bun with its publish, or `ws` in Node. The
// primary passes each message on to the other process. So two readers can receive two messages in different order.

import cluster from "node:cluster";
import { createRequire } from "node:module";
import process from "node:process";

const PROCESSES = 2;

if (cluster.isPrimary) {
  // Bun does not share a socket with its workers, but a port. So it needs the port of the first one.
  const isBun = process.versions.bun !== undefined;
  const workers = [cluster.fork({ PORT: "0" })];
  let ready = 0;
  cluster.on("message", (from, { port, text }) => {
    if (text !== undefined) {
      for (const worker of workers) if (worker !== from) worker.send({ text });
      return;
    }
    while (workers.length < PROCESSES) workers.push(cluster.fork({ PORT: isBun ? String(port) : "0" }));
    if (++ready === PROCESSES) process.stdout.write(`listening on ${port}\n`);
  });
} else if (process.versions.bun !== undefined) {
  const server = Bun.serve({
    port: Number(process.env.PORT),
    hostname: "127.0.0.1",
    reusePort: true,
    fetch: (request, server) => server.upgrade(request) ? undefined : new Response(null, { status: 426 }),
    websocket: {
      open: (socket) => socket.subscribe("room"),
      message(_socket, text) {
        server.publish("room", text);
        process.send({ text });
      },
    },
  });
  process.on("message", ({ text }) => server.publish("room", text));
  process.send({ port: server.port });
} else {
  // The bench has installed the package in the working folder.
  const { WebSocketServer } = createRequire(`${process.cwd()}/`)("ws");
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  const publish = (text) => {
    for (const client of server.clients) client.send(text);
  };
  server.on("connection", (socket) => {
    socket.on("message", (data) => {
      const text = data.toString();
      publish(text);
      process.send({ text });
    });
  });
  process.on("message", ({ text }) => publish(text));
  server.on("listening", () => process.send({ port: server.address().port }));
}
