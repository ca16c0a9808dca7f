/** The kernel with sign-in and limits, and an endpoint that requires a token. */

import { Server } from "../../../../core/mod.ts";
import { auth } from "../../../../plugins/auth.ts";
import { echo } from "../../../../plugins/protocols/echo.ts";
import { rateLimits } from "../../../../plugins/rate_limits.ts";
import { announce } from "../../contenders/announce.ts";
import { SECRET } from "./tokens.ts";

const server = new Server({ port: 0, maxConnections: 1_000_000, maxConnectionsPerIp: 1_000_000 });
// Raises only the limits that ten thousand clients of one machine exceed.
const limits = server.use(rateLimits({
  limits: { connectsPerIp: "1000000/1s", connectionsPerIp: 1_000_000 },
  whenExceeded: "drop",
}));
server.use(auth({
  jwt: { secret: SECRET },
  limits: limits.signIns,
  anonymous: Deno.args.includes("--anonymous"),
}));
server.use(echo());
await server.start();
announce(server.address.port);
