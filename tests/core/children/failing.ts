// deno-lint-ignore-file no-console -- the test reads the output
import { run, Server } from "../../../core/mod.ts";

const server = new Server({ port: 0 });
server.use({ name: "cache", stop: () => console.log("stop cache") });
server.use({ name: "database", start: () => Promise.reject(new Error("no room on the disk")) });
await run(server);
