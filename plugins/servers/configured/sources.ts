/**
 * Where a process finds its options.
 *
 * @module
 */

import { parseEnv } from "node:util";
import { PlugboardError } from "../../../core/mod.ts";
import type { Sources } from "./load.ts";

/** Returns the sources of this process. `.env` is read once. */
export function processSources(args: readonly string[]): Sources {
  const values = parseEnv(readFile(".env") ?? "");
  return {
    args,
    again: () => processSources(args),
    env: variable,
    envIsRead: mayReadVariable("PORT"),
    dotEnvNames: Object.keys(values),
    dotEnv: (name) => Object.hasOwn(values, name) ? values[name] : undefined,
    read(path) {
      // On a terminal, the runtime would stop and ask.
      if (mayRead(path) || path === "plugboard.json") return readFile(path);
      throw new PlugboardError(
        "bad_setting",
        `The program may not read ${path}; start it with --allow-read=${path}`,
      );
    },
  };
}

function variable(name: string): string | undefined {
  return mayReadVariable(name) ? Deno.env.get(name) : undefined;
}

function mayReadVariable(name: string): boolean {
  return Deno.permissions.querySync({ name: "env", variable: name }).state === "granted";
}

function mayRead(path: string): boolean {
  return Deno.permissions.querySync({ name: "read", path }).state === "granted";
}

function readFile(path: string): string | undefined {
  if (!mayRead(path)) return;
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
}
