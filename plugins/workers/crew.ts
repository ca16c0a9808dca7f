import {
  type Address,
  addressOf,
  type Host,
  type Listening,
  type OpenListener,
  PlugboardError,
  systemClock,
  within,
} from "../../core/mod.ts";
import { listenError } from "../../core/contract/listening.ts";
import type { WorkerInfo } from "../workers.ts";
import { Member } from "./member.ts";
import { threadSource } from "./program.ts";

/** What a crew needs. */
export interface CrewOptions {
  readonly size: number;
  readonly hangMs: number;
  readonly maxWaitingBytes: number;
  readonly host: Host;
  readonly listening: Listening;
}

/** How often workers are checked. */
const TICK_MS = 100;

/** A worker that has nothing to do gets a post after so many checks, which it has to carry out. */
const BEAT_TICKS = 10;

/** Posts of a worker may be open for so long before clients have to wait for it. */
const LATE_MS = 100;

/** A worker that has been silent for so many checks is not waited for. Its clients are excused. */
const SILENT_TICKS = 10;

/** How long a worker may take to start. */
const START_MS = 30_000;

/** The longest wait before a worker is replaced that ends again and again. */
const MAX_WAIT_MS = 5_000;

/** How long the runtime may take to close idle connections. */
const CLOSE_MS = 1_000;

/** Only the API without this flag shares a port with TLS. The runtime ends the process if it is used nevertheless. */
const NEEDS_FLAG = "Workers with TLS need the flag --unstable-net. Without it, let a proxy handle TLS";

/** A place in the crew, with its present worker. */
interface Post {
  readonly number: number;
  member: Member | undefined;
  silentTicks: number;
  startedAt: number;
  waitMs: number;
  problem: string | undefined;
  replaced: number;
  /** What its earlier workers have counted. */
  past: Totals;
}

type Totals = Pick<WorkerInfo, "messagesReceived" | "framesSent" | "cpuSeconds">;

/** The workers of a listener. */
export class Crew implements OpenListener {
  readonly #options: CrewOptions;
  readonly #source = threadSource();
  readonly #posts: readonly Post[];
  #port: number;
  #hostname: string;
  #cancelTick: (() => void) | undefined;
  #cancelRestarts = new Set<() => void>();
  #closed = false;
  #held = false;
  #ticks = 0;

  constructor(options: CrewOptions) {
    this.#options = options;
    this.#port = options.listening.port;
    this.#hostname = options.listening.hostname;
    this.#posts = Array.from({ length: options.size }, (_, i): Post => ({
      number: i + 1,
      member: undefined,
      silentTicks: 0,
      startedAt: 0,
      waitMs: 0,
      problem: undefined,
      replaced: 0,
      past: { messagesReceived: 0, framesSent: 0, cpuSeconds: 0 },
    }));
  }

  get address(): Address {
    const scheme = this.#options.listening.tls === undefined ? "http" : "https";
    return addressOf({ hostname: this.#hostname, port: this.#port }, scheme);
  }

  get problem(): string | undefined {
    const { url } = this.address;
    const [first] = this.#posts.flatMap(({ number, member, problem }) => {
      const what = problem ?? member?.problem;
      return what === undefined ? [] : `Worker ${number} accepts no connections at ${url}: ${what}`;
    });
    return first;
  }

  /** The workers, for operators. */
  get infos(): WorkerInfo[] {
    const now = performance.now();
    return this.#posts.map(({ number, member, replaced, past }) => ({
      worker: number,
      connections: member?.size ?? 0,
      ...totals(past, member),
      replaced,
      queuedBytes: member?.figures.queuedBytes ?? 0,
      waitingBytes: member?.figures.waitingBytes ?? 0,
      heapBytes: member?.figures.heapBytes ?? 0,
      lagMs: member?.link.lag(now) ?? 0,
    }));
  }

  /** Starts the workers. Resolves when all listen. */
  async start(): Promise<void> {
    const { hostname, port, tls } = this.#options.listening;
    if (tls !== undefined && !("listenDatagram" in Deno)) throw new PlugboardError("bad_tls", NEEDS_FLAG);
    try {
      // The runtime lets workers of one process share a port silently, and each would get another free one.
      const probe = Deno.listen({ hostname, port });
      ({ hostname: this.#hostname, port: this.#port } = probe.addr);
      probe.close();
      await Promise.all(this.#posts.map(async (post) => await this.#man(post).listens));
    } catch (error) {
      await this.close(0);
      const files = tls === undefined ? "" : " with this certificate and key";
      throw listenError({ hostname, port }, files, error);
    }
    this.#cancelTick = systemClock.every(TICK_MS, () => this.#tick());
  }

  async close(ms: number): Promise<void> {
    this.#closed = true;
    this.#cancelTick?.();
    for (const cancel of this.#cancelRestarts) cancel();
    const members = this.#posts.flatMap(({ member }) => member ?? []);
    if (ms > 0) {
      const stopping = Promise.all(members.map((member) => member.stop()));
      const answered = Promise.all(members.map((member) => member.answered()));
      await within(systemClock, ms, "answering", answered).catch(() => {});
      await within(systemClock, Math.min(ms, CLOSE_MS), "closing", stopping).catch(() => {});
    }
    for (const member of members) member.end();
  }

  /** Starts a worker at a post. */
  #man(post: Post): Member {
    const { host, listening, maxWaitingBytes } = this.#options;
    const member = new Member({
      source: this.#source,
      name: `plugboard worker ${post.number}`,
      host,
      listening,
      beginning: {
        hostname: listening.hostname,
        port: this.#port,
        tls: listening.tls,
        pingIntervalMs: host.pingIntervalMs,
        maxWaitingBytes,
      },
      mayTake: () => !this.#isLate(),
      handled: () => this.#settle(),
      ended: (reason) => this.#left(post, reason),
    });
    post.member = member;
    post.silentTicks = 0;
    post.startedAt = performance.now();
    member.listens.then(() => post.problem = undefined, () => {});
    return member;
  }

  /** A worker has ended. */
  #left(post: Post, reason: string | undefined): void {
    const lasted = performance.now() - post.startedAt;
    post.past = totals(post.past, post.member);
    post.member = undefined;
    if (this.#closed || this.#cancelTick === undefined) return;
    const { host } = this.#options;
    post.replaced++;
    post.problem = reason ?? "it has ended";
    host.log.error("a worker has ended and is replaced", { worker: post.number, reason: post.problem });
    post.waitMs = lasted > 60_000 ? 0 : Math.min(MAX_WAIT_MS, 2 * post.waitMs + 50);
    const cancel = systemClock.after(post.waitMs, () => {
      this.#cancelRestarts.delete(cancel);
      this.#man(post);
    });
    this.#cancelRestarts.add(cancel);
  }

  /** Whether clients have to wait for a worker. */
  #isLate(): boolean {
    const now = performance.now();
    const isLate = ({ member, silentTicks }: Post) =>
      member?.isListening && silentTicks < SILENT_TICKS && member.link.lag(now) > LATE_MS;
    const late = this.#posts.filter(isLate);
    for (const { member } of late) member!.link.awaitReport();
    return this.#held = late.length > 0;
  }

  /** Gives credit that was held back. */
  #settle(): void {
    if (!this.#held || this.#isLate()) return;
    for (const { member } of this.#posts) member?.settle();
  }

  /** Ticks are counted, since none comes while this thread is blocked and reads no reports. */
  #tick(): void {
    const { host, hangMs } = this.#options;
    const now = performance.now();
    this.#ticks++;
    for (const post of this.#posts) {
      const { member } = post;
      if (member === undefined) continue;
      const lag = member.link.lag(now);
      post.silentTicks = lag > TICK_MS ? post.silentTicks + 1 : 0;
      if (lag === 0 && this.#ticks % BEAT_TICKS === 0) member.link.order("beat", 0, undefined);
      if (lag > TICK_MS) member.link.release();
      if (post.silentTicks >= SILENT_TICKS) member.excuse();
      if (host.memory.level === 2) member.link.order("endClosing", 0, undefined);
      const patience = member.isListening ? hangMs : Math.max(hangMs, START_MS);
      if (post.silentTicks * TICK_MS > patience) member.end(`it has been silent for ${patience} ms`);
    }
    this.#settle();
  }
}

/** What the workers of a place have counted: its earlier ones and its present one. */
function totals(past: Totals, member: Member | undefined): Totals {
  if (member === undefined) return past;
  return {
    messagesReceived: past.messagesReceived + member.messages,
    framesSent: past.framesSent + member.figures.framesSent,
    cpuSeconds: past.cpuSeconds + member.figures.cpuSeconds,
  };
}
