/** A bare server that verifies a token before it accepts a connection, to measure the cost of `jose`. */

import { jwtVerify } from "jose";
import { announce } from "../../contenders/announce.ts";
import { SECRET } from "./tokens.ts";

const hmac = { name: "HMAC", hash: "SHA-256" };
const key = await crypto.subtle.importKey("raw", new TextEncoder().encode(SECRET), hmac, false, ["verify"]);

Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: ({ port }) => announce(port) }, async (request) => {
  await jwtVerify(request.url.slice(request.url.indexOf("=") + 1), key);
  const { socket, response } = Deno.upgradeWebSocket(request);
  socket.onmessage = ({ data }) => socket.send(data);
  return response;
});
