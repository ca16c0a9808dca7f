import { PlugboardError } from "../../core/mod.ts";
import { type Method, own } from "./types.ts";

/** What a reload of the configuration has changed. */
export interface Reloaded {
  /** The options that are in effect. */
  readonly reloaded: readonly string[];
  /** The options that need a restart. */
  readonly restart: readonly string[];
}

/** Makes the method that loads the configuration again. */
export function reloadMethod(reload: (() => Promise<Reloaded>) | undefined): Method {
  const names = { type: "array", items: { type: "string" } } as const;
  return own({
    name: "reload",
    summary: "Loads the configuration again, all of it or nothing",
    params: { type: "object", properties: {} },
    result: {
      type: "object",
      properties: {
        reloaded: { ...names, description: "The options that changed and are in effect" },
        restart: { ...names, description: "The options that changed and need a restart" },
      },
    },
    permission: "admin:configuration",
    async run() {
      if (reload !== undefined) return JSON.stringify(await reload());
      throw new PlugboardError("not_available", "There is no configuration to load");
    },
  });
}
