import { PlugboardError, Server } from "../../../../core/mod.ts";
import { auth } from "../../../auth.ts";
import { needsSignIn } from "../../../auth/reports.ts";
import { channels } from "../../../channels.ts";
import { liveQueries } from "../../../live_queries.ts";
import { mutations } from "../../../mutations.ts";
import { persistence } from "../../../persistence.ts";
import { rpc } from "../../../rpc.ts";
import { schedule } from "../../../schedule.ts";
import { isLoopback } from "../../../shared/client_ip.ts";
import { declared } from "../declared.ts";
import type { Settings } from "../settings.ts";
import { wiringOptions } from "../wiring.ts";
import type { Command } from "./command.ts";

/** Says what is wrong with the options, as a start would. */
export const check: Command = {
  name: "check",
  arguments: "",
  help: "Says what is wrong with the options, without starting a server",
  flags: {},
  examples: ["check", "check --config shop/plugboard.json"],
  async run({ loaded, wire, print }) {
    wire(loaded);
    checkExposure(loaded.settings);
    checkFiles(loaded.settings);
    await checkDeclarations(loaded.settings);
    for (const warning of loaded.warnings) print(warning);
    print(`${loaded.file ?? "The options"}: no mistakes found`);
  },
};

function checkExposure(settings: Settings): void {
  const { host, adminHost, adminPort } = settings;
  const hosts = adminPort === undefined ? [host] : [host, adminHost];
  const exposed = hosts.find((each) => !isLoopback(each));
  if (exposed !== undefined && auth(wiringOptions(settings).auth).api.open && !settings.proxies.connect) {
    throw needsSignIn(exposed);
  }
}

function checkFiles({ tlsCert, tlsKey, pages }: Settings): void {
  for (const [name, path] of Object.entries({ tlsCert, tlsKey, pages })) {
    if (path === undefined) continue;
    try {
      if (Deno.statSync(path).isDirectory === (name === "pages")) continue;
    } catch {
      // It is not there, or not accessible.
    }
    throw new PlugboardError("bad_setting", `${name}: cannot read ${path}`);
  }
}

/** Builds what the file declares in a database in memory. */
async function checkDeclarations(settings: Settings): Promise<void> {
  const server = new Server({ port: false });
  const store = server.use(persistence({ path: ":memory:" }));
  const { defaults, namespaces } = wiringOptions(settings);
  const plain = Object.entries(namespaces(undefined)).map((
    [name, { broker: _, ...options }],
  ) => [name, options]);
  const bus = server.use(channels({ ...settings.channels, namespaces: Object.fromEntries(plain), defaults }));
  const methods = server.use(rpc());
  const later = server.use(schedule({ channels: bus, store }));
  const queries = server.use(liveQueries({ store, channels: bus }));
  const changes = server.use(mutations({ store, rpc: methods, queries }));
  server.use(declared({ settings, store, bus, queries, changes, methods, later }));
  await server.start();
  await server.stop();
}
