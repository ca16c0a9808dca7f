import { readSettings, setting } from "../../../core/mod.ts";

const MAX = 2 ** 31;

/** Settings of a pipe server. `BUFFER_SIZE` is not supported: the runtime manages its read buffers itself. */
export interface PipeSettings {
  /** `PORT`. @default {5000} */
  readonly port: number;
  /** `MAX_MESSAGE_SIZE`, in bytes. @default {65536} */
  readonly maxMessageBytes: number;
  /** `OPERATION_TIMEOUT_SECONDS`, converted to milliseconds. @default {30000} */
  readonly operationTimeoutMs: number;
  /** `MAX_CONNECTIONS_PER_PATH`. @default {100} */
  readonly maxConnectionsPerPath: number;
  /** `ENABLE_AUTO_CLEANUP`. @default {true} */
  readonly autoCleanup: boolean;
  /** `WEBSOCKET_PATH`. @default {"/ws"} */
  readonly path: string;
}

/**
 * Reads the settings from an environment. Missing variables have defaults; throws for an invalid value.
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
  const values = readSettings(VARIABLES, { args: [], env });
  return {
    port: values.PORT,
    maxMessageBytes: values.MAX_MESSAGE_SIZE,
    operationTimeoutMs: values.OPERATION_TIMEOUT_SECONDS * 1000,
    maxConnectionsPerPath: values.MAX_CONNECTIONS_PER_PATH,
    autoCleanup: values.ENABLE_AUTO_CLEANUP,
    path: values.WEBSOCKET_PATH,
  };
}

const VARIABLES = {
  PORT: setting.integer(5000, "Port to listen on", 65_535),
  MAX_MESSAGE_SIZE: setting.integer(65_536, "Maximum bytes of one message", MAX, 1),
  OPERATION_TIMEOUT_SECONDS: setting.integer(30, "Timeout of a server client's operations", MAX, 1),
  MAX_CONNECTIONS_PER_PATH: setting.integer(100, "Maximum clients on one path", MAX, 1),
  ENABLE_AUTO_CLEANUP: setting.flag("Unload a path after its last client has left", true),
  WEBSOCKET_PATH: setting.of(parsePath, "/ws", "URL path under which clients connect"),
};

function parsePath(text: string): string {
  if (!text.startsWith("/")) throw new Error("a path that begins with a slash");
  return text;
}
