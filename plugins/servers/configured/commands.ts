/**
 * The commands of the program.
 *
 * @module
 */

import { parseEnv } from "node:util";
import { messageOf, PlugboardError, run, type Server, settingsHelp } from "../../../core/mod.ts";
import { GENERAL, load, type Loaded } from "./load.ts";
import { options } from "./flags.ts";

/** Plugs a server together. It opens nothing. */
export type Wiring = (loaded: Loaded) => Server;

/**
 * Runs the command of the arguments; without one, starts the server.
 *
 * ```ts ignore
 * await command(({ settings }) => new Server(wiringOptions(settings).server));
 * ```
 */
export async function command(wire: Wiring): Promise<void> {
  try {
    const { args } = Deno;
    const table = Object.fromEntries(Array.from(options, ([name, { setting }]) => [name, setting]));
    if (args.includes("--help")) return print(settingsHelp({ ...table, ...GENERAL }));
    const loaded = load({ args, env: variable, dotEnv: dotEnv(), read: readFile });
    if (args.includes("--print-config")) return print(loaded.lines().join("\n"));
    const [word] = loaded.words;
    if (word !== undefined) throw new PlugboardError("bad_setting", `Unknown command ${word}; see --help`);
    await run(wire(loaded));
  } catch (error) {
    // deno-lint-ignore no-console -- no log yet
    console.error(messageOf(error));
    Deno.exit(1);
  }
}

function print(text: string): void {
  // deno-lint-ignore no-console -- the answer to a command
  console.log(text);
}

function variable(name: string): string | undefined {
  // On a terminal, the runtime would stop and ask.
  if (Deno.permissions.querySync({ name: "env", variable: name }).state === "granted") {
    return Deno.env.get(name);
  }
}

function dotEnv(): (name: string) => string | undefined {
  const values = parseEnv(readFile(".env") ?? "");
  return (name) => Object.hasOwn(values, name) ? values[name] : undefined;
}

function readFile(path: string): string | undefined {
  if (Deno.permissions.querySync({ name: "read", path }).state !== "granted") return;
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
}
