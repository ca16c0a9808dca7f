// Socket.IO with its WebSocket transport.

import { createServer } from "node:http";
import { createRequire } from "node:module";
import process from "node:process";

// The bench has installed the packages in the working folder.
const { Server } = createRequire(`${process.cwd()}/`)("socket.io");

const http = createServer();
const io = new Server(http, { transports: ["websocket"], serveClient: false });
io.on("connection", (socket) => {
  socket.on("echo", (data) => socket.emit("echo", data));
  socket.on("publish", (data) => io.emit("publish", data));
});
http.listen(0, "127.0.0.1", () => process.stdout.write(`listening on ${http.address().port}\n`));
