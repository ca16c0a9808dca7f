/**
 * Opening a connection to a Redis server. It carries commands and messages (RESP3), so that the answer to a publish and the
 * publication itself arrive together.
 *
 * @module
 */

import type { Buffer } from "node:buffer";
// @ts-types="./client.d.ts"
import type { RedisClient } from "@redis/client";
import type { RedisAddress } from "./address.ts";
import { connection, destroy } from "./connection.ts";
import { type Generation, generationFrom } from "./generation.ts";
import { SCRIPTS } from "./scripts.ts";

/** A connection that is ready. */
export interface OpenConnection {
  readonly client: RedisClient;
  readonly generation: Generation;
}

/** What to open. */
export interface Opening {
  readonly address: RedisAddress;
  /** The Redis channels to subscribe to. */
  readonly names: readonly string[];
  /** Receives messages. */
  readonly receive: (message: Buffer, name: Buffer) => void;
  /** Called when the connection is lost, with the connection. */
  readonly failed: (client: RedisClient, error: unknown) => void;
  readonly warn: (message: string) => void;
}

/** How long connecting may take. It is more than an answer takes, since a server reads its data first. */
const CONNECT_MS = 5_000;
/** A command with more names would block the server. */
const NAMES_AT_ONCE = 1_000;

/** Opens a connection, with the scripts and the subscriptions. */
export async function openConnection(opening: Opening): Promise<OpenConnection> {
  const { address, names, receive, failed, warn } = opening;
  const client = connection(address, (error) => failed(client, error));
  // A stopped server accepts connections and answers nothing.
  const timer = setTimeout(() => destroy(client), CONNECT_MS);
  try {
    await client.connect();
    const info = String(await client.sendCommand(["INFO"]));
    // Its keys would be on several servers, which a script cannot use.
    if (/^redis_mode:cluster/m.test(info)) {
      throw new Error("Redis Cluster is not supported: list independent servers, which share the channels");
    }
    const generation = generationFrom(info, warn);
    for (const { text } of Object.values(SCRIPTS)) await client.sendCommand(["SCRIPT", "LOAD", text]);
    for (let i = 0; i < names.length; i += NAMES_AT_ONCE) {
      const some = names.slice(i, i + NAMES_AT_ONCE).map((name) => address.prefix + name);
      await client.subscribe(some, receive, true);
    }
    if (!client.isReady) throw new Error("The connection was closed");
    return { client, generation };
  } catch (error) {
    destroy(client);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
