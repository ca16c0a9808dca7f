/**
 * The settings of a program: where they come from, `--help`, and what happens when they are wrong.
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

/** What every program can be asked. */
const QUESTIONS = {
  HELP: setting.flag("Show this table"),
  PRINT_CONFIG: setting.flag("Show what is in force, without secrets"),
};

/**
 * Reads the settings of a program from its flags, its environment and the file `.env`, in that order. `--help` and
 * `--print-config` are answered, and a wrong setting is told in one sentence; the program ends then. So it does, until
 * it calls `run`, when a plugin does not accept what it is given.
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
    addEventListener("unhandledrejection", tellMistake);
    return settings;
  } catch (error) {
    return fail(error);
  }
}

/** What a program's modules throw, before it runs, arrives here. */
export function tellMistake(event: PromiseRejectionEvent): void {
  if (event.reason instanceof PlugboardError) fail(event.reason);
}

function end(answer: string): never {
  // deno-lint-ignore no-console -- it was asked for
  console.log(answer);
  Deno.exit(0);
}

function fail(error: unknown): never {
  // deno-lint-ignore no-console -- there is no log yet
  console.error(messageOf(error));
  Deno.exit(1);
}

/** Asks for one name after the other, so that these are all that the program needs a permission for. */
function environment(names: readonly string[]): Record<string, string | undefined> {
  const file = parseEnv(readFile(".env"));
  return Object.fromEntries(names.map((name) => [name, Deno.env.get(name) ?? file[name]]));
}

function readFile(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotCapable) return "";
    throw error;
  }
}
