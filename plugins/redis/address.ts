/**
 * The addresses of Redis servers.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";

/** Where a Redis server is. */
export interface RedisAddress {
  readonly host: string;
  readonly port: number;
  readonly database: number;
  readonly secure: boolean;
  /** Who signs in: user and password. */
  readonly user: string;
  readonly password: string;
  /** Host, port and database: for messages, and to choose a server for a channel. */
  readonly name: string;
  /** What all keys and channels begin with. */
  readonly prefix: string;
  /** The name of a primary that sentinels know. Then host and port are those of a sentinel. */
  readonly primary?: string;
  /** Who signs in to the sentinels. */
  readonly sentinelUser?: string;
  readonly sentinelPassword?: string;
}

const SENTINEL_PARAMETERS = ["prefix", "sentinel_user", "sentinel_password"];
const SCHEMES = ["redis:", "rediss:", "redis+sentinel:", "rediss+sentinel:"];

/**
 * Parses `redis://user:password@host:6379/0?prefix=app`, or `rediss:` for TLS, or `redis+sentinel://host:26379/primary/0`, with
 * `sentinel_user` and `sentinel_password` as further parameters. Errors do not contain passwords.
 */
export function parseRedisUrl(text: string): RedisAddress {
  const url = URL.parse(text);
  const invalid = (why: string) =>
    new PlugboardError("start_failed", `Cannot start redis: "urls" must be redis: or rediss: URLs, ${why}`);
  if (url === null) throw invalid("got one that is no URL");
  const sentinel = url.protocol.includes("sentinel");
  const port = Number(url.port || (sentinel ? 26_379 : 6_379));
  const name = `${url.hostname}:${port}${url.pathname.replace(/\/$/, "")}`;
  if (!SCHEMES.includes(url.protocol) || url.hostname === "") throw invalid(`got ${url.protocol}//${name}`);
  const path = url.pathname.match(sentinel ? /^\/([\w.-]+)(?:\/(\d*))?$/ : /^()(?:\/(\d*))?$/);
  if (path === null) {
    const rule = sentinel ? "name of the primary, as sentinels know it" : "number of the database";
    throw invalid(`and the path is the ${rule}, got ${name}`);
  }
  const known = sentinel ? SENTINEL_PARAMETERS : ["prefix"];
  for (const option of url.searchParams.keys()) {
    if (known.includes(option)) continue;
    const only = known.length === 1 ? "the only parameter is" : "the parameters are";
    throw invalid(`and ${only} ${known.map((each) => `"${each}"`).join(", ")}, got "${option}"`);
  }
  return {
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port,
    database: Number(path[2] ?? 0),
    secure: url.protocol.startsWith("rediss"),
    user: decodeURIComponent(url.username) || "default",
    password: decodeURIComponent(url.password),
    name,
    prefix: `${url.searchParams.get("prefix") ?? "plugboard"}:`,
    ...(sentinel && {
      primary: path[1]!,
      sentinelUser: url.searchParams.get("sentinel_user") || "default",
      sentinelPassword: url.searchParams.get("sentinel_password") ?? "",
    }),
  };
}

/**
 * Parses the addresses of several servers. Hosts of the same user may share a URL: `redis://user:password@a:7000,b:7000/0`.
 * Sentinels of one primary are one address, with the others.
 */
export function parseRedisUrls(urls: readonly string[]): RedisAddress[] {
  return urls.join(",").split(/,(?=[\w+]+:\/\/)/).flatMap((text) => {
    const [, start = "", hosts, end = ""] = text.match(/^(\w[\w+]*:\/\/(?:[^@/]*@)?)([^/?]*)(.*)$/) ?? [];
    if (hosts === undefined) return [parseRedisUrl(text)];
    return hosts.split(",").map((host) => parseRedisUrl(start + host + end));
  });
}

/** Returns a function that chooses the same one for the same name everywhere. Another list moves as few names as possible. */
export function chooser<Server extends object>(
  servers: readonly Server[],
  nameOf: (server: Server) => string,
): (name: string) => Server {
  if (servers.length === 1) return () => servers[0]!;
  const names = servers.map(nameOf);
  return (name) => {
    let [best, highest] = [servers[0]!, -1];
    for (const [i, server] of servers.entries()) {
      const score = hash(`${names[i]} ${name}`);
      if (score > highest) [best, highest] = [server, score];
    }
    return best;
  };
}

/** FNV-1a, with a final mix: similar names have different scores. */
export function hash(text: string): number {
  let mixed = 2_166_136_261;
  for (let i = 0; i < text.length; i++) mixed = Math.imul(mixed ^ text.charCodeAt(i), 16_777_619);
  mixed = Math.imul(mixed ^ mixed >>> 16, 0x45d9f3b);
  return (mixed ^ mixed >>> 15) >>> 0;
}
