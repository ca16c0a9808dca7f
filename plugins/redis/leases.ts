/**
 * Leases in Redis: a key that expires names the holder, and one that stays has the latest token.
 *
 * @module
 */

import type { Buffer } from "node:buffer";
import type { Leases } from "../shared/lease.ts";
import type { Shard } from "./shard.ts";

/** The scripts of leases. */
export const LEASE_SCRIPTS = {
  /** KEYS: lease, holder. ARGV: holder, address, ttl, token, earlier token, whether it may be the first. Returns state and address. */
  claim: `
local known = redis.call('HMGET', KEYS[1], 'token', 'address')
local holder = redis.call('GET', KEYS[2])
if not known[1] and ARGV[6] == '0' then return { 'waiting', '' } end
if known[1] and known[1] ~= ARGV[4] and known[1] ~= ARGV[5] then return { 'superseded', known[2] } end
if holder and holder ~= ARGV[1] then return { 'waiting', known[2] } end
redis.call('HSET', KEYS[1], 'token', ARGV[4], 'address', ARGV[2])
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[3])
return { 'held', ARGV[2] }
`,
  /** KEYS: holder. ARGV: holder. */
  release: `
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
`,
} as const;

/** Creates the leases on one shard. */
export function redisLeases(shard: Shard): Leases {
  return {
    async claim({ name, holder, address, ttlMs, token, earlier = "", first }) {
      const keys = [`lease:${name}`, `lease:${name}:holder`];
      const args = [holder, address, `${ttlMs}`, token, earlier, first ? "1" : "0"];
      const answer = await shard.run("claim", keys, args) as Buffer[];
      const [state, at] = answer.map(String);
      return { state: state as "held" | "waiting" | "superseded", address: at! };
    },
    async release({ name, holder }) {
      await shard.run("release", [`lease:${name}:holder`], [holder]);
    },
  };
}
