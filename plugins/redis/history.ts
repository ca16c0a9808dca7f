/**
 * Reading histories in Redis, in slices.
 *
 * @module
 */

import type { Buffer } from "node:buffer";
import { PlugboardError } from "../../core/mod.ts";
import type { Broker, History, HistoryQuery, Retention } from "../channels.ts";
import { decodePublication } from "./encoding.ts";
import { continuesFrom, epochOf } from "./generation.ts";
import type { Servers } from "./servers.ts";
import type { Shard } from "./shard.ts";

/** The most publications that are read at once: Redis and this node do nothing else meanwhile, for a few milliseconds. */
const SLICE = 200;

/** Returns a function that reads a history. `lineage` gives what the script needs to know about a shard. */
export function historyReader(
  servers: Servers,
  lineage: (shard: Shard) => readonly string[],
): Broker["history"] {
  /** Reads up to so many publications. */
  async function read(
    channel: string,
    { since, reverse = false }: HistoryQuery,
    limit: number,
    keep: Retention,
  ): Promise<History> {
    const shard = servers.of(channel);
    const answer = await shard.run("history", [`meta:${channel}`, `stream:${channel}`, "epoch"], [
      ...lineage(shard),
      `${keep.ageMs}`,
      `${keep.size}`,
      since === undefined || reverse ? "0" : `${since.offset}`,
      since === undefined || !reverse ? "" : `${since.offset}`,
      reverse ? "1" : "0",
      `${limit}`,
    ]) as [Buffer, Buffer, Buffer, Buffer, [Buffer, Buffer[]][]];
    const [base, run, earlier, top] = answer.slice(0, 4).map(String) as [string, string, string, string];
    const epoch = epochOf({ base, run });
    const other = since !== undefined && since.epoch !== "" && since.epoch !== epoch;
    const continued = other && continuesFrom({ base, run, earlier }, since);
    const publications = other && !continued
      ? []
      : answer[4].map(([id, [, time, , body]]) =>
        decodePublication(body!, Number.parseInt(String(id)), Number(time))
      );
    return { publications, top: { offset: Number(top), epoch }, ...(continued && { continued }) };
  }

  /** Reads in slices. */
  return async (channel: string, query: HistoryQuery, keep: Retention): Promise<History> => {
    const { since, reverse = false, limit = Infinity } = query;
    const most = reverse && since !== undefined && since.offset <= 1 ? 0 : limit;
    const first = await read(channel, query, Math.min(most, SLICE), keep);
    const { epoch, offset: top } = first.top;
    let publications = [...first.publications];
    for (let count = publications.length; count === SLICE && publications.length < most;) {
      const last = publications.at(-1)!.offset;
      if (last === (reverse ? 1 : top)) break;
      const position = { offset: last, epoch: "" };
      const next = await read(
        channel,
        { since: position, reverse },
        Math.min(most - publications.length, SLICE),
        keep,
      );
      if (next.top.epoch !== epoch) {
        throw new PlugboardError("unavailable", "The history was removed while it was read");
      }
      count = next.publications.length;
      const more = next.publications.filter(({ offset }) => offset <= top);
      // What came before was removed meanwhile.
      if (!reverse && next.publications[0]?.offset !== last + 1) publications = [];
      publications.push(...more);
    }
    return { ...first, publications };
  };
}
