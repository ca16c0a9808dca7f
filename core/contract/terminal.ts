/**
 * Lines for a person at a terminal.
 *
 * @module
 */

/**
 * Prints a line if the program runs at a terminal. A supervisor's log does not need it.
 *
 * ```ts
 * import { sayAtTerminal } from "@plugboard/server";
 *
 * sayAtTerminal("Open http://127.0.0.1:8080/ in a browser. Press Ctrl-C to stop.");
 * ```
 */
export function sayAtTerminal(line: string): void {
  // deno-lint-ignore no-console -- a terminal's output is no log
  if (Deno.stdout.isTerminal()) console.log(line);
}
