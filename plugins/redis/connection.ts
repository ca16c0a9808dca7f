/**
 * Connections of the npm client.
 *
 * @module
 */

import { Buffer } from "node:buffer";
// @ts-types="./client.d.ts"
import { createClient, type RedisClient, RESP_TYPES } from "@redis/client";
import type { RedisAddress } from "./address.ts";

/** Answers a command with bytes in place of texts. */
export const BYTES = { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } };

/** Creates a connection that is not replaced when it is lost; then `failed` is called. */
export function connection({ url }: RedisAddress, failed: (error: unknown) => void): RedisClient {
  const client = createClient({
    url,
    disableOfflineQueue: true,
    commandOptions: { timeout: undefined }, // A timer for each command; the watchdog needs one for all.
    maintNotifications: "disabled", // They read environment variables.
    // A new client replaces it: this one could send old commands to a new server.
    socket: { reconnectStrategy: false },
  });
  client.on("error", failed);
  return client;
}

/** Closes a connection a turn later. Within a callback of a subscription, `destroy` of this client would not end. */
export function destroy(client: RedisClient): void {
  setImmediate(() => {
    try {
      client.destroy();
    } catch { /* It is closed. */ }
  });
}
