/**
 * Sentinels: servers that know which Redis server is the primary.
 *
 * @module
 */

import { messageOf } from "../../core/mod.ts";
import type { RedisAddress } from "./address.ts";
import { askOnce, type Patience } from "./opening.ts";
import type { Value } from "./resp.ts";

/** Asks one sentinel after the other where the primary is. */
export async function findPrimary(
  sentinels: readonly RedisAddress[],
  ms: number,
  signal?: AbortSignal,
): Promise<RedisAddress> {
  const problems: string[] = [];
  for (const sentinel of sentinels) {
    const { primary } = sentinel;
    try {
      const found = await ask(sentinel, primary!, { ms, signal });
      if (Array.isArray(found)) {
        const [host, port] = found.map(String) as [string, string];
        return { ...sentinel, host, port: Number(port), name: `${host}:${port}` };
      }
      problems.push(`${sentinel.host}:${sentinel.port} does not know "${primary}"`);
    } catch (error) {
      problems.push(`${sentinel.host}:${sentinel.port}: ${messageOf(error)}`);
    }
  }
  throw new Error(`No sentinel knows the primary: ${problems.join("; ")}`);
}

/** The user of the URL is that of the servers; sentinels are asked without one. */
function ask(sentinel: RedisAddress, primary: string, patience: Patience): Promise<Value> {
  const address = { ...sentinel, user: "default", password: "", database: 0 };
  return askOnce(address, ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", primary], patience);
}
