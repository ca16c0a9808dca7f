// TinyBase's own server on the package `ws`. With a folder as its argument, it stores each path in a file there.

import { randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import { join } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";

// The bench has installed the packages in the working folder.
const require = createRequire(`${process.cwd()}/`);
const load = (name) => import(pathToFileURL(require.resolve(name)));
const { WebSocketServer } = require("ws");
const { createMergeableStore } = await load("tinybase");
const { createFilePersister } = await load("tinybase/persisters/persister-file");
const { createWsServer } = await load("tinybase/synchronizers/synchronizer-ws-server");

const folder = process.argv[2];
const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
// The server uses this header as the client id, but the bench sends the same one on every connection.
server.on("connection", (_socket, { headers }) => {
  headers["sec-websocket-key"] = randomBytes(16).toString("base64");
});
createWsServer(
  server,
  folder && ((path) => createFilePersister(createMergeableStore(), join(folder, encodeURIComponent(path)))),
);
server.on("listening", () => process.stdout.write(`listening on ${server.address().port}\n`));
