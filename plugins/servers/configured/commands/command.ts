import { PlugboardError, type Setting } from "../../../../core/mod.ts";
import type { Wiring } from "../commands.ts";
import type { Loaded, Sources } from "../load.ts";

/** A command of the program. */
export interface Command {
  readonly name: string;
  /** As `--help` shows them; empty if it takes none. */
  readonly arguments: string;
  readonly help: string;
  /** Its own flags, by the names of their settings. */
  readonly flags: Readonly<Record<string, Setting<unknown>>>;
  /** What follows the program's name. */
  readonly examples: readonly string[];
  run(context: CommandContext): Promise<void>;
}

/** What a command works with. */
export interface CommandContext {
  readonly loaded: Loaded;
  readonly wire: Wiring;
  /** The arguments. */
  readonly words: readonly string[];
  /** The texts of the flags. */
  readonly flags: ReadonlyMap<string, string>;
  readonly sources: Sources;
  /** Writes the answer. */
  print(text: string): void;
}

/** Returns the arguments. Throws unless there are as many as names. */
export function argumentsOf(words: readonly string[], ...names: readonly string[]): readonly string[] {
  const missing = names[words.length];
  if (missing !== undefined) throw new PlugboardError("bad_setting", `${missing} is missing; see --help`);
  if (words.length > names.length) {
    throw new PlugboardError("bad_setting", `There is one argument too many: ${words[names.length]}`);
  }
  return words;
}

/** Shows the progress of long work on a terminal, in one line, and nothing elsewhere. */
export function progress(): { show(text: string): void; end(): void } {
  const terminal = Deno.stderr.isTerminal();
  const write = (text: string) => void Deno.stderr.writeSync(new TextEncoder().encode(text));
  let shown = false;
  return {
    show(text) {
      if (!terminal) return;
      write(`\r\x1b[K${text}`);
      shown = true;
    },
    end: () => shown && write("\r\x1b[K"),
  };
}
