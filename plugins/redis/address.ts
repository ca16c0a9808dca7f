/**
 * The addresses of Redis servers.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";

/** Where a Redis server is. */
export interface RedisAddress {
  /** The URL for the client, with the credentials. */
  readonly url: string;
  /** Host, port and database: for messages, and to choose a server for a channel. */
  readonly name: string;
  /** What all keys and channels begin with. */
  readonly prefix: string;
}

/** Parses `redis://user:password@host:6379/0?prefix=app`, or `rediss:` for TLS. Errors do not contain the password. */
export function parseRedisUrl(text: string): RedisAddress {
  const url = URL.parse(text);
  const invalid = (why: string) =>
    new PlugboardError("start_failed", `Cannot start redis: "urls" must be redis: or rediss: URLs, ${why}`);
  if (url === null) throw invalid("got one that is no URL");
  const name = `${url.hostname}:${url.port || 6379}${url.pathname.replace(/\/$/, "")}`;
  if (!["redis:", "rediss:"].includes(url.protocol) || url.hostname === "") {
    throw invalid(`got ${url.protocol}//${name}`);
  }
  if (!/^(\/\d*)?$/.test(url.pathname)) {
    throw invalid(`and the path is the number of the database, got ${name}`);
  }
  const prefix = url.searchParams.get("prefix") ?? "plugboard";
  for (const option of url.searchParams.keys()) {
    if (option !== "prefix") throw invalid(`and the only parameter is "prefix", got "${option}"`);
  }
  url.search = "";
  return { url: url.href, name, prefix: `${prefix}:` };
}

/** Chooses the same server for the same name everywhere. Another list of servers moves as few names as possible. */
export function chooser<Server extends { readonly address: RedisAddress }>(
  servers: readonly Server[],
): (name: string) => Server {
  if (servers.length === 1) return () => servers[0]!;
  return (name) => {
    let [best, highest] = [servers[0]!, -1];
    for (const server of servers) {
      const score = hash(`${server.address.name} ${name}`);
      if (score > highest) [best, highest] = [server, score];
    }
    return best;
  };
}

/** FNV-1a, with a final mix: similar names have different scores. */
function hash(text: string): number {
  let mixed = 2_166_136_261;
  for (let i = 0; i < text.length; i++) mixed = Math.imul(mixed ^ text.charCodeAt(i), 16_777_619);
  mixed = Math.imul(mixed ^ mixed >>> 16, 0x45d9f3b);
  return (mixed ^ mixed >>> 15) >>> 0;
}
