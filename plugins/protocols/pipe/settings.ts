/**
 * The pipe server's settings, by the names they have in an environment.
 *
 * @module
 */

import { PlugboardError } from "../../../core/mod.ts";

/**
 * Settings of a server that speaks the pipe format. A `BUFFER_SIZE` has nothing to set: the runtime reads frames
 * into buffers of its own.
 */
export interface PipeSettings {
  /** `PORT`. @default {5000} */
  readonly port: number;
  /** `MAX_MESSAGE_SIZE`, in bytes. @default {65536} */
  readonly maxMessageBytes: number;
  /** `OPERATION_TIMEOUT_SECONDS`, here in milliseconds. @default {30000} */
  readonly operationTimeoutMs: number;
  /** `MAX_CONNECTIONS_PER_PATH`. @default {100} */
  readonly maxConnectionsPerPath: number;
  /** `ENABLE_AUTO_CLEANUP`. @default {true} */
  readonly autoCleanup: boolean;
  /** `WEBSOCKET_PATH`. @default {"/ws"} */
  readonly path: string;
}

/**
 * Reads the settings from an environment; what is not set has its default, what makes no sense throws.
 *
 * ```ts
 * import assert from "node:assert/strict";
 * import { pipeSettings } from "@plugboard/server/pipe";
 *
 * assert.equal(pipeSettings({}).port, 5000);
 * assert.equal(pipeSettings({ OPERATION_TIMEOUT_SECONDS: "60" }).operationTimeoutMs, 60_000);
 * ```
 */
export function pipeSettings(env: Readonly<Record<string, string | undefined>>): PipeSettings {
  const path = env.WEBSOCKET_PATH ?? "/ws";
  if (!path.startsWith("/")) throw bad("WEBSOCKET_PATH", "begin with a slash", path);
  return {
    port: wholeNumber(env, "PORT", 5000, 0, 65_535),
    maxMessageBytes: wholeNumber(env, "MAX_MESSAGE_SIZE", 65_536, 1),
    operationTimeoutMs: wholeNumber(env, "OPERATION_TIMEOUT_SECONDS", 30, 1) * 1000,
    maxConnectionsPerPath: wholeNumber(env, "MAX_CONNECTIONS_PER_PATH", 100, 1),
    autoCleanup: flag(env, "ENABLE_AUTO_CLEANUP", true),
    path,
  };
}

type Environment = Readonly<Record<string, string | undefined>>;

function wholeNumber(
  env: Environment,
  name: string,
  byDefault: number,
  least: number,
  most = 2 ** 31,
): number {
  const text = env[name];
  if (text === undefined || text === "") return byDefault;
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least || value > most) {
    throw bad(name, `be a whole number from ${least} to ${most}`, text);
  }
  return value;
}

function flag(env: Environment, name: string, byDefault: boolean): boolean {
  const text = env[name]?.toLowerCase();
  if (text === undefined || text === "") return byDefault;
  if (text !== "true" && text !== "false") throw bad(name, "be true or false", text);
  return text === "true";
}

function bad(name: string, rule: string, value: string): PlugboardError {
  return new PlugboardError("bad_setting", `${name} must ${rule}, got ${JSON.stringify(value)}`);
}
