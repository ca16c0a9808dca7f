/**
 * Opening a connection to a Redis server: signing in, and learning what kind of server it is.
 *
 * @module
 */

import type { RedisAddress } from "./address.ts";
import { Connection, type ConnectionEvents } from "./connection.ts";
import { type Generation, generationFrom } from "./generation.ts";
import type { Argument, Value } from "./resp.ts";
import { SCRIPTS } from "./scripts.ts";

/** What a server tells when it is connected to. */
export interface Opened {
  readonly connection: Connection;
  /** Its answer to `INFO`. */
  readonly info: string;
}

/** How long connecting may take, and what ends it earlier. */
export interface Patience {
  readonly ms: number;
  readonly signal?: AbortSignal | undefined;
}

/** Connects, signs in, asks for information and does the first work on the connection, all within some time. */
export async function openConnection<T>(
  address: RedisAddress,
  events: ConnectionEvents,
  { ms, signal }: Patience,
  work: (opened: Opened) => Promise<T> | T,
): Promise<T> {
  const { promise: failed, reject } = Promise.withResolvers<never>();
  let isOpen = false;
  const connection = new Connection(address, {
    ...events,
    failed: (error) => isOpen ? events.failed(error) : reject(error),
  });
  // A stopped server accepts connections and answers nothing.
  const timer = setTimeout(() => reject(new Error("no answer")), ms);
  const abort = () => reject(new Error("it was closed meanwhile"));
  signal?.addEventListener("abort", abort);
  if (signal?.aborted) abort();
  const { user, password, database } = address;
  const isSignedIn = user !== "default" || password !== ""; // A user may need no password.
  const open = async () => {
    await connection.send(["HELLO", "3", ...(isSignedIn ? ["AUTH", user, password] : [])]);
    if (database > 0) await connection.send(["SELECT", `${database}`]);
    const info = String(await connection.send(["INFO"]));
    const result = await work({ connection, info });
    isOpen = true;
    return result;
  };
  try {
    return await Promise.race([failed, open()]);
  } catch (error) {
    connection.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

/** Asks a server on a connection of its own. */
export function askOnce(
  address: RedisAddress,
  command: readonly Argument[],
  patience: Patience,
): Promise<Value> {
  return openConnection(
    address,
    { message() {}, moved() {}, failed() {} },
    patience,
    async ({ connection }) => {
      const answer = await connection.send(command);
      connection.destroy();
      return answer;
    },
  );
}

/** What kind of server it is: one of its own, or a node of a cluster. */
export type Mode = "alone" | "cluster";

/** A server whose scripts are loaded. */
export interface Prepared {
  readonly connection: Connection;
  readonly generation: Generation;
  readonly mode: Mode;
}

/** Whether a server's answer to `INFO` is that of a replica. */
export function isReplica(info: string): boolean {
  return /^role:slave/m.test(info);
}

/** Loads the scripts. Rejects if it is not a server that stores and carries messages. */
export async function prepare(
  { connection, info }: Opened,
  warn: (message: string) => void,
): Promise<Prepared> {
  const mode = /^redis_mode:cluster/m.test(info) ? "cluster" : "alone";
  if (/^redis_mode:sentinel/m.test(info)) {
    throw new Error("it is a sentinel: write redis+sentinel://host:26379/name-of-the-primary");
  }
  if (mode === "alone" && isReplica(info)) throw new Error("it is a replica, which is read-only");
  const generation = generationFrom(info, warn);
  await Promise.all(Object.values(SCRIPTS).map(({ text }) => connection.send(["SCRIPT", "LOAD", text])));
  return { connection, generation, mode };
}
