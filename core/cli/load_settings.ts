/**
 * Loads the settings of a program, and answers `--help` and `--print-config`.
 *
 * @module
 */

import { parseEnv } from "node:util";
import { messageOf, PlugboardError } from "../contract/errors.ts";
import {
  readSettings,
  type Setting,
  setting,
  settingsHelp,
  type SettingsOf,
  showSettings,
} from "./settings.ts";

/** The flags of every program. */
const QUESTIONS = {
  HELP: setting.flag("Show this table"),
  PRINT_CONFIG: setting.flag("Show the settings, without secrets"),
};

/**
 * Reads the settings of a program from its flags, its environment and the file `.env`, in that order. Ends the program
 * after `--help` and `--print-config`, and with one sentence for an invalid setting. Until `run` is called, a
 * `PlugboardError` of a plugin that does not accept its options ends it the same way.
 *
 * ```ts
 * import { loadSettings, setting } from "@plugboard/server";
 *
 * const { PORT } = loadSettings({ PORT: setting.integer(8080, "Port to listen on") });
 * ```
 */
export function loadSettings<Table extends Record<string, Setting<unknown>>>(
  table: Table,
): SettingsOf<Table> {
  const whole: Table & typeof QUESTIONS = { ...table, ...QUESTIONS };
  if (Deno.args.includes("--help")) return end(settingsHelp(whole));
  try {
    const { HELP, PRINT_CONFIG, ...read } = readSettings(whole, {
      args: Deno.args,
      env: environment(Object.keys(table)),
    });
    const settings = read as unknown as SettingsOf<Table>;
    if (HELP || PRINT_CONFIG) return end(HELP ? settingsHelp(whole) : showSettings(table, settings));
    addEventListener("unhandledrejection", exitOnError);
    return settings;
  } catch (error) {
    return fail(error);
  }
}

/** Handles what the modules of a program throw before it runs. */
export function exitOnError(event: PromiseRejectionEvent): void {
  if (event.reason instanceof PlugboardError) fail(event.reason);
}

function end(answer: string): never {
  // deno-lint-ignore no-console -- the answer to a flag
  console.log(answer);
  Deno.exit(0);
}

function fail(error: unknown): never {
  // deno-lint-ignore no-console -- no log yet
  console.error(messageOf(error));
  Deno.exit(1);
}

/** Reads each name by itself, so that the program needs no permission for others. */
function environment(names: readonly string[]): Record<string, string | undefined> {
  const file = parseEnv(readFile(".env"));
  return Object.fromEntries(names.map((name) => [name, Deno.env.get(name) ?? file[name]]));
}

function readFile(path: string): string {
  // On a terminal, the runtime would stop and ask.
  if (Deno.permissions.querySync({ name: "read", path }).state !== "granted") return "";
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}
