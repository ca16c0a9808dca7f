/**
 * The hub's settings, by the names they have in an environment.
 *
 * @module
 */

import { PlugboardError } from "../../../core/mod.ts";

/** Settings of a hub. */
export interface HubSettings {
  /** `PORT`. @default {8081} */
  readonly port: number;
  /** `HUB_API_KEY`. Required. */
  readonly apiKey: string;
  /** `READ_TIMEOUT`: how long nothing may be heard of a client, or a request's body may take. @default {60000} */
  readonly readTimeoutMs: number;
  /** `WRITE_TIMEOUT`: how long messages may wait for a client that does not take them. @default {10000} */
  readonly writeTimeoutMs: number;
  /** `MAX_MESSAGE_SIZE`. @default {524288} 512 KB */
  readonly maxMessageBytes: number;
}

/**
 * Reads the settings from an environment: `60s`, `1m30s` and `500ms` are times, `512KB` and `1MB` are sizes. What is
 * not set has its default, what makes no sense throws.
 *
 * ```ts
 * import assert from "node:assert/strict";
 * import { hubSettings } from "@plugboard/server/hub";
 *
 * const { port, readTimeoutMs } = hubSettings({ HUB_API_KEY: "secret", READ_TIMEOUT: "1m30s" });
 * assert.deepEqual([port, readTimeoutMs], [8081, 90_000]);
 * ```
 */
export function hubSettings(env: Readonly<Record<string, string | undefined>>): HubSettings {
  const apiKey = env.HUB_API_KEY ?? "";
  if (apiKey === "") {
    throw new PlugboardError("bad_setting", "HUB_API_KEY must be set: backends prove themselves by it");
  }
  return {
    apiKey,
    port: setting(env.PORT, "PORT", 8081, port, "a port number"),
    readTimeoutMs: setting(env.READ_TIMEOUT, "READ_TIMEOUT", 60_000, duration, "a time such as 60s"),
    writeTimeoutMs: setting(env.WRITE_TIMEOUT, "WRITE_TIMEOUT", 10_000, duration, "a time such as 10s"),
    maxMessageBytes: setting(
      env.MAX_MESSAGE_SIZE,
      "MAX_MESSAGE_SIZE",
      512 * 1024,
      size,
      "a size such as 512KB",
    ),
  };
}

function setting(
  text: string | undefined,
  name: string,
  byDefault: number,
  parse: (text: string) => number | undefined,
  rule: string,
): number {
  if (text === undefined || text === "") return byDefault;
  const value = parse(text.trim());
  if (value !== undefined) return value;
  throw new PlugboardError("bad_setting", `${name} must be ${rule}, got ${JSON.stringify(text)}`);
}

function port(text: string): number | undefined {
  const value = Number(text);
  return /^\d+$/.test(text) && value < 65_536 ? value : undefined;
}

const MS = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 } as const;

/** A time as Go writes it; in milliseconds. */
function duration(text: string): number | undefined {
  if (!/^(\d+(\.\d+)?(ms|h|m|s))+$/.test(text)) return undefined;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|h|m|s)/g)];
  const ms = parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * MS[unit as keyof typeof MS], 0);
  return fits(Math.round(ms));
}

const BYTES = { "": 1, B: 1, K: 1024, KB: 1024, M: 1024 ** 2, MB: 1024 ** 2 } as const;

/** A size; in bytes. */
function size(text: string): number | undefined {
  const [, amount, unit = ""] = text.toUpperCase().match(/^(\d+) ?(|B|K|KB|M|MB)$/) ?? [];
  return amount === undefined ? undefined : fits(Number(amount) * BYTES[unit as keyof typeof BYTES]);
}

/** More than nothing, and what a timer or a buffer can take. */
function fits(value: number): number | undefined {
  return value > 0 && value < 2 ** 31 ? value : undefined;
}
