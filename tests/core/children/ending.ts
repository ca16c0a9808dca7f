// deno-lint-ignore-file no-console -- the test reads the output
import { Server } from "../../../core/mod.ts";
import { echo } from "../../../plugins/protocols/echo.ts";
import { RawClient, until } from "../../kit/mod.ts";

const server = new Server({ port: 0, pingIntervalMs: 400, pongTimeoutMs: 200 });
server.use(echo());
await server.start();
const gone = await RawClient.upgrade(server.address.port, "/echo");
const silent = await RawClient.upgrade(server.address.port, "/echo");
const staying = await RawClient.upgrade(server.address.port, "/echo");
const stuck = await RawClient.upgrade(server.address.port, "/echo");
await staying.frame(10, await staying.nextFrame(9));
await gone.nextFrame(9);
gone[Symbol.dispose]();
await until("the silent clients to be closed", () => server.connections.size <= 1);
await server.stop();
for (const client of [silent, staying, stuck]) client[Symbol.dispose]();
console.log("stopped");
