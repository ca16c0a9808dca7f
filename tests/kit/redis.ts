/** Redis servers for tests, on free ports and without files. */

import type { Host } from "../../core/mod.ts";
import type { Broker } from "../../plugins/channels.ts";
import { redis, type RedisOptions } from "../../plugins/redis.ts";
import { script, SCRIPTS } from "../../plugins/redis/scripts.ts";
import { freePort } from "./ports.ts";
import { findProgram, programs, skip } from "./programs.ts";
import type { Surroundings } from "./remote.ts";
import { until } from "./wait.ts";

/**
 * Options of a server whose data outlives a kill. It writes before it answers; with the usual `appendfsync everysec`, not
 * while it waits for a slow disk.
 */
export const APPEND: readonly string[] = ["--appendonly", "yes", "--appendfsync", "no"];

/** A Redis server that tests stop, continue, kill and start again. */
export class RedisProcess implements AsyncDisposable {
  readonly port: number;
  readonly url: string;
  readonly #program: string;
  readonly #args: readonly string[];
  readonly #first: readonly string[];
  #process: Deno.ChildProcess | undefined;

  /** Starts the program. `args` are its options, such as `--appendonly yes`. */
  constructor(program: string, args: readonly string[] = [], configFile?: string) {
    this.port = freePort();
    this.url = `redis://127.0.0.1:${this.port}`;
    this.#program = program;
    this.#args = args;
    this.#first = configFile === undefined ? [] : [configFile];
    this.run();
  }

  /** Starts the program again, after {@linkcode kill}. */
  run(): void {
    this.#process = new Deno.Command(this.#program, {
      args: [
        ...this.#first,
        ...["--port", `${this.port}`, "--bind", "127.0.0.1", "--save", "", "--loglevel", "warning"],
        ...this.#args,
      ],
      stdout: "null",
      stderr: "null",
    }).spawn();
  }

  /** Waits until it answers. */
  async ready(): Promise<void> {
    await until("the start of Redis", async () => await this.command("PING") === "+PONG", 60_000);
  }

  /** Sends a command; returns the first line of the answer, or nothing without a server. */
  async command(...words: readonly string[]): Promise<string> {
    try {
      using conn = await Deno.connect({ hostname: "127.0.0.1", port: this.port });
      await conn.write(new TextEncoder().encode(`${words.join(" ")}\r\n`));
      const buffer = new Uint8Array(4_096);
      const length = await conn.read(buffer) ?? 0;
      return new TextDecoder().decode(buffer.subarray(0, length)).split("\r\n")[0]!;
    } catch {
      return "";
    }
  }

  signal(signal: Deno.Signal): void {
    this.#process!.kill(signal);
  }

  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.#process!.status;
    this.#process = undefined;
  }

  /** Lets the server run until the end of the test file. */
  keep(): this {
    this.#process!.unref();
    globalThis.addEventListener("unload", () => this.signal("SIGKILL"));
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process !== undefined) await this.kill();
  }
}

const program = findProgram(programs.redis);
let shared: RedisProcess | undefined;
let skipped = false;
let plugins = 0;

/** Connects to the server that the tests of a file share, with keys of its own. Call {@linkcode withRedis} before. */
export function ownRedis(options: Partial<RedisOptions> = {}): ReturnType<typeof redis> {
  return redis({ urls: [`${shared!.url}?prefix=test${plugins++}`], ...options });
}

/** Makes the scripts of this process fail when they use a key that they do not declare, as some servers do. */
export function onlyDeclaredKeys(): void {
  for (const each of Object.values(SCRIPTS)) {
    if (!each.text.startsWith(STRICT)) Object.assign(each, script(STRICT + each.text));
  }
}

const STRICT = `
local declared = {}
for _, key in ipairs(KEYS) do declared[key] = true end
local redis = { call = function(...)
  local command, key = ...
  if not declared[key] and command ~= 'TIME' and command ~= 'SPUBLISH' then
    error('undeclared key ' .. tostring(key))
  end
  return redis.call(...)
end }
`;

/** Starts the server that the tests of a file share, outside of its tests. `false` if it is not installed. */
export function withRedis(): boolean {
  onlyDeclaredKeys();
  if (program !== undefined) shared ??= new RedisProcess(program).keep();
  else if (!skipped) skip("redis-server is not installed", "B12 in Redis");
  skipped = program === undefined;
  return !skipped;
}

/** A broker that connects to Redis when it starts. */
export function connectedBroker(
  plugin: ReturnType<typeof redis> = ownRedis(),
  server: RedisProcess = shared!,
): Broker {
  const { broker } = plugin.api;
  return {
    ...broker,
    async start(events, host) {
      await server.ready();
      await plugin.start!(host as Host); // It uses only what brokers get.
      await broker.start?.(events, host);
    },
    async stop() {
      await broker.stop?.();
      await plugin.stop!();
    },
  };
}

/** Returns the services of nodes in Redis; nothing if Redis is not installed. */
export function redisSurroundings(): Surroundings | undefined {
  if (!withRedis()) return;
  /** A node's services, of which the tests ask for the broker last. */
  let node: ReturnType<typeof redis> | undefined;
  return {
    name: "",
    remote: true,
    broker() {
      const plugin = node ?? ownRedis();
      node = undefined;
      return connectedBroker(plugin);
    },
    cluster: () => (node ??= ownRedis()).api.cluster,
    store: () => (node ??= ownRedis()).api.presenceStore,
    patient: (service) => service,
  };
}
