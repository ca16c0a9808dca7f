// deno-lint-ignore-file no-console -- the test reads the output
import { run, Server } from "../../../core/mod.ts";
import { health } from "../../../plugins/health.ts";
import { echo } from "../../../plugins/protocols/echo.ts";
import { FakeClock } from "../../kit/mod.ts";

/** `fast`: minutes pass each second. `stuck`: the process itself uses all file handles, too. */
const [mode = ""] = Deno.args;
const clock = new FakeClock();
if (mode !== "") setInterval(() => clock.advance(500), 1);

const server = new Server({ port: 0, drainMs: 1_000, ...(mode !== "" && { clock }) });
server.use({
  name: "lines",
  log: ({ level, message }) => console.log(`${level} ${message}`),
  stop: () => console.log("stopped"),
});
server.use(health());
server.use(echo());
await run(server);
console.log(server.address.port);
if (mode === "stuck") {
  try {
    for (;;) Deno.openSync("/dev/null");
  } catch { /* No handle is left. */ }
}
