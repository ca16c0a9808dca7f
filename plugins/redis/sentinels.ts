/**
 * Sentinels: servers that know which Redis server is the primary.
 *
 * @module
 */

import { messageOf } from "../../core/mod.ts";
import type { RedisAddress } from "./address.ts";
import type { Place } from "./link.ts";
import { askOnce, type Patience } from "./opening.ts";
import { ErrorReply } from "./resp.ts";

/** How long the others may answer after the first one. One that is cut off may not know the latest primary. */
const OTHERS_MS = 200;

/** Asks the sentinels where the primary is. The latest fail-over that one of them knows decides. */
export async function findPrimary(
  sentinels: readonly RedisAddress[],
  ms: number,
  signal?: AbortSignal,
): Promise<Place> {
  const known: Place[] = [];
  const late = new AbortController();
  const patience = { ms, signal: signal ? AbortSignal.any([signal, late.signal]) : late.signal };
  let timer: ReturnType<typeof setTimeout> | undefined;
  const asked = await Promise.allSettled(sentinels.map(async (sentinel) => {
    known.push(await ask(sentinel, patience));
    timer ??= setTimeout(() => late.abort(), OTHERS_MS);
  }));
  clearTimeout(timer);
  const [first, ...others] = known;
  if (first !== undefined) {
    return others.reduce((latest, each) => each.epoch > latest.epoch ? each : latest, first);
  }
  const problems = asked.map((each) => messageOf((each as PromiseRejectedResult).reason));
  throw new Error(`No sentinel knows the primary: ${problems.join("; ")}`);
}

/** The user of the URL is that of the servers. */
async function ask(sentinel: RedisAddress, patience: Patience): Promise<Place> {
  const { host, port, primary, sentinelUser: user = "default", sentinelPassword: password = "" } = sentinel;
  const address = { ...sentinel, user, password, database: 0 };
  try {
    const answer = await askOnce(address, ["SENTINEL", "MASTER", primary!], patience);
    const fields = new Map<string, string>();
    const words = (answer as readonly unknown[]).map(String);
    for (let i = 0; i < words.length; i += 2) fields.set(words[i]!, words[i + 1]!);
    const [where, at] = [fields.get("ip")!, Number(fields.get("port"))];
    return {
      address: { ...sentinel, host: where, port: at, name: `${where}:${at}` },
      epoch: Number(fields.get("config-epoch")),
    };
  } catch (error) {
    const why = error instanceof ErrorReply && /No such master/.test(error.message)
      ? ` does not know "${primary}"`
      : `: ${messageOf(error)}`;
    throw new Error(`${host}:${port}${why}`, { cause: error });
  }
}
