// The package `ws` with a loop over its clients, as in its documentation.

import { createRequire } from "node:module";
import process from "node:process";

// The bench has installed the packages in the working folder.
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
