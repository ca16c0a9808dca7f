/**
 * The commands of the program.
 *
 * @module
 */

import {
  messageOf,
  PlugboardError,
  readArguments,
  run,
  type Server,
  settingsHelp,
  suggestion,
} from "../../../core/mod.ts";
import { backup } from "./commands/backup.ts";
import { check } from "./commands/check.ts";
import type { Command } from "./commands/command.ts";
import { keys } from "./commands/keys.ts";
import { migrate } from "./commands/migrate.ts";
import { publish } from "./commands/publish.ts";
import { token } from "./commands/token.ts";
import { options } from "./flags.ts";
import { GENERAL, load, type Loaded } from "./load.ts";
import type { Settings } from "./settings.ts";
import { processSources } from "./sources.ts";

/** Plugs a server together. It opens nothing. */
export type Wiring = (loaded: Loaded) => Server;

const start: Command = {
  name: "start",
  arguments: "",
  help: "Starts the server; the default",
  flags: {},
  examples: ["start", "start --port 9000 --config shop/plugboard.json", "--print-config"],
  async run({ loaded, wire }) {
    await run(named(loaded, () => wire(loaded)));
  },
};

/** The settings that are options of plugins and of the server with other names. */
const SETTINGS: Readonly<Record<string, keyof Settings>> = {
  "tls.certFile": "tlsCert",
  "tls.keyFile": "tlsKey",
  "trusted": "trustedProxies",
  "jwks.url": "jwksUrl",
  "origins": "allowedOrigins",
  "drainMs": "drainMs",
};

/** The same for the only receiver of events, which has no place in the file. */
const RECEIVER: Readonly<Record<string, keyof Settings>> = { url: "webhookUrl", secrets: "webhookSecrets" };

/** Plugs the server together. Errors call a setting by the name that was given. */
function named(loaded: Loaded, wire: () => Server): Server {
  try {
    return wire();
  } catch (error) {
    if (!(error instanceof PlugboardError)) throw error;
    const lone = Object.keys(loaded.settings.webhooks).length === 0;
    const message = error.message.replace(/"([\w.]+)"/, (option, name: string) => {
      const known = SETTINGS[name] ??
        (lone && error.message.startsWith("Cannot start webhooks:") ? RECEIVER[name] : undefined);
      return known === undefined ? option : loaded.nameOf(known);
    });
    throw new PlugboardError(error.code, message, { cause: error });
  }
}

const COMMANDS: readonly Command[] = [start, token, check, keys, publish, backup, migrate];

/**
 * Runs the command of the arguments; without one, starts the server.
 *
 * ```ts ignore
 * await command(({ options }) => new Server(options.server));
 * ```
 */
export async function command(wire: Wiring): Promise<void> {
  try {
    const { args } = Deno;
    const named = findCommand(args);
    if (args.includes("--help")) return print(named === undefined ? help() : helpOf(named));
    const chosen = named ?? start;
    const sources = processSources(args);
    const loaded = load(sources, chosen.flags);
    if (args.includes("--print-config")) return print(loaded.lines().join("\n"));
    const { flags, words } = readArguments({ ...table(), ...GENERAL, ...chosen.flags }, args);
    const given = named === undefined ? words : words.slice(1);
    if (given.length > 0 && chosen.arguments === "") throw unknown(given[0]!);
    await chosen.run({ loaded, wire, words: given, flags, sources, print });
  } catch (error) {
    // deno-lint-ignore no-console -- no log yet
    console.error(
      error instanceof Error && !(error instanceof PlugboardError) ? sentenceOf(error) : messageOf(error),
    );
    Deno.exit(1);
  }
}

/** Finds the command among arguments, which may be wrong. */
function findCommand(args: readonly string[]): Command | undefined {
  const flags = COMMANDS.reduce((all, each) => ({ ...all, ...each.flags }), {});
  const { words: [word] } = readArguments({ ...table(), ...GENERAL, ...flags }, args);
  if (word === undefined) return undefined;
  const found = COMMANDS.find(({ name }) => name === word);
  if (found === undefined) throw unknown(word);
  return found;
}

function unknown(word: string): PlugboardError {
  const nearest = suggestion(word, COMMANDS.map(({ name }) => name));
  const hint = nearest === undefined ? "see --help" : `did you mean ${nearest}?`;
  return new PlugboardError("bad_setting", `Unknown command ${word}; ${hint}`);
}

/** The runtime's errors name what is missing. */
function sentenceOf(error: Error): string {
  const [line = ""] = error.message.split("\n");
  return line.replace(/, run again with.*/, "");
}

const table = () => Object.fromEntries(Array.from(options, ([name, { setting }]) => [name, setting]));

function help(): string {
  const width = Math.max(...COMMANDS.map((each) => `${each.name} ${each.arguments}`.length)) + 2;
  const commands = COMMANDS.map((each) => `  ${`${each.name} ${each.arguments}`.padEnd(width)}${each.help}`);
  return `Commands, each with --help:\n\n${commands.join("\n")}\n\nOptions, as variables and flags:\n\n${
    settingsHelp({ ...table(), ...GENERAL })
  }`;
}

function helpOf({ name, arguments: given, help, flags, examples }: Command): string {
  const own = { ...flags, CONFIG: GENERAL.CONFIG };
  const lines = settingsHelp(own).split("\n").map((line) => `  ${line.replace(/^[A-Z_]+ +/, "")}`);
  const more = name === "start" ? "\n  and all options that --help lists" : "";
  return `${`${name} ${given}`.trim()}: ${help}\n\n${lines.join("\n")}${more}\n\nExamples:\n\n${
    examples.map((each) => `  deno task start ${each}`).join("\n")
  }`;
}

function print(text: string): void {
  // deno-lint-ignore no-console -- the answer to a command
  console.log(text);
}
