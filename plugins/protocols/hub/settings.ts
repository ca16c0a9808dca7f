import { PlugboardError, readSettings, setting } from "../../../core/mod.ts";

/** Settings of a hub. */
export interface HubSettings {
  /** `PORT`. @default {8081} */
  readonly port: number;
  /** `HUB_API_KEY`. Required. */
  readonly apiKey: string;
  /** `READ_TIMEOUT`: how long a client may be silent, and the timeout of a request's body. @default {60000} */
  readonly readTimeoutMs: number;
  /** `WRITE_TIMEOUT`: how long messages may wait for a slow client. @default {10000} */
  readonly writeTimeoutMs: number;
  /** `MAX_MESSAGE_SIZE`. @default {524288} 512 KB */
  readonly maxMessageBytes: number;
}

/**
 * Parses the settings: `60s`, `1m30s` and `500ms` are times, `512KB` and `1MB` are sizes. Throws if a value is invalid
 * or the key is missing.
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
    throw new PlugboardError("bad_setting", "HUB_API_KEY must be set: it is the API key of backends");
  }
  const values = readSettings(VARIABLES, { args: [], env });
  return {
    apiKey,
    port: values.PORT,
    readTimeoutMs: values.READ_TIMEOUT,
    writeTimeoutMs: values.WRITE_TIMEOUT,
    maxMessageBytes: values.MAX_MESSAGE_SIZE,
  };
}

const VARIABLES = {
  PORT: setting.integer(8081, "Port to listen on", 65_535),
  READ_TIMEOUT: setting.duration(60_000, "Timeout of silent clients and of request bodies"),
  WRITE_TIMEOUT: setting.duration(10_000, "Timeout of slow clients"),
  MAX_MESSAGE_SIZE: setting.bytes(524_288, "Maximum bytes of one message"),
};
