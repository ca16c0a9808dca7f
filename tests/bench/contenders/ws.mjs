// The package `ws`, with the loop over its clients that its manual shows.

import { createRequire } from "node:module";
import process from "node:process";

// The packages lie where the bench has installed them, which is the working directory.
const { WebSocketServer } = createRequire(`${process.cwd()}/`)("ws");

const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
server.on("connection", (socket, request) => {
  const echo = request.url === "/echo";
  socket.on("message", (data, isBinary) => {
    const text = isBinary ? data : data.toString();
    if (echo) socket.send(text);
    else for (const client of server.clients) client.send(text);
  });
});
server.on("listening", () => process.stdout.write(`listening on ${server.address().port}\n`));
