import type { Clock } from "../contract/clock.ts";
import { messageOf, PlugboardError } from "../contract/errors.ts";
import { type Address, addressOf, listenError, type OpenListener } from "../contract/listening.ts";
import type { Log } from "../contract/log.ts";
import { type MaybePromise, settlesWithin } from "../contract/promises.ts";
import { Tally } from "./tally.ts";

/** Files with a certificate and its key, in PEM. */
export interface TlsFiles {
  /** The certificate, with those of its issuers. */
  readonly certFile: string;
  /** The private key. */
  readonly keyFile: string;
}

/** Where to listen. */
export interface ListenOptions {
  /** The port, 0 for any free one. */
  readonly port: number;
  /** The address. @default {"127.0.0.1"} */
  readonly hostname?: string | undefined;
  /** Listens with TLS. */
  readonly tls?: TlsFiles | undefined;
}

/** Answers a request. */
type Handler = (request: Request, info: Deno.ServeHandlerInfo) => MaybePromise<Response>;

/** What a listener needs from the server. */
export interface ListenerOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Called when it could not accept connections for a long time, and has given up. */
  readonly gaveUp: (error: Error) => void;
}

/** One run of the runtime's HTTP server, which ends when the process has no file handle for another connection. */
interface Run {
  readonly http: Deno.HttpServer<Deno.NetAddr>;
  readonly abort: AbortController;
  ended: boolean;
}

/** How long the runtime may take to close idle connections. */
const CLOSE_MS = 1_000;

/** The first and the longest wait before another attempt to listen. */
const WAIT_MS = { first: 100, longest: 2_000 };

/** A connection that the runtime cannot accept ends its server within this time. */
const PROBE_MS = 250;

/** How long attempts to listen may fail before all connections are closed, to free their file handles. */
const CLEAR_MS = 20_000;

/** How long attempts to listen may fail before the listener gives up. */
const GIVE_UP_MS = 40_000;

/**
 * An open port. Without a free file handle, the runtime ends its server at the next connection; the connections that are
 * open live on. The listener then listens again as soon as there are handles.
 */
export class Listener implements OpenListener {
  /** Where it listens. */
  readonly address: Address;
  readonly #handler: Handler;
  readonly #options: ListenerOptions;
  readonly #pem: { cert: string; key: string } | undefined;
  /** The last one listens, unless it has ended. The others have ended, but may have open connections. */
  readonly #runs: Run[] = [];
  readonly #requests = new Tally();
  #problem: string | undefined;
  #recoveredAt = -Infinity;
  #waitMs = WAIT_MS.first;
  #cancelWait: (() => void) | undefined;
  #closed = false;

  /** Opens the port. */
  constructor(listen: ListenOptions & { hostname: string }, handler: Handler, options: ListenerOptions) {
    const { port, hostname, tls } = listen;
    this.#options = options;
    this.#pem = tls && readTls(tls);
    this.#handler = (request, info) => {
      const answer = handler(request, info);
      if (!(answer instanceof Promise)) return answer;
      this.#requests.add();
      return answer.finally(() => this.#requests.remove());
    };
    try {
      const { addr } = this.#run(hostname, port).http;
      this.address = addressOf(addr, tls ? "https" : "http");
    } catch (error) {
      const files = tls === undefined ? "" : ` with "${tls.certFile}" and "${tls.keyFile}"`;
      throw listenError({ hostname, port }, files, error);
    }
  }

  /** A sentence if it accepts no connections at the moment. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /**
   * Closes the port. Pending requests may finish within `ms` and are aborted after that. The runtime fails if it is
   * asked to abort after it was asked to shut down, so only one of them is used.
   */
  async close(ms: number): Promise<void> {
    const { clock } = this.#options;
    this.#closed = true;
    this.#cancelWait?.();
    if (await settlesWithin(clock, ms, this.#requests.empty())) {
      const closed = this.#runs.map(({ http }) => http.shutdown());
      await settlesWithin(clock, CLOSE_MS, Promise.allSettled(closed));
    } else {
      for (const { abort } of this.#runs) abort.abort();
      await Promise.allSettled(this.#runs.map(({ http }) => http.finished));
    }
  }

  #run(hostname: string, port: number): Run {
    const abort = new AbortController();
    const options = { hostname, port, signal: abort.signal, onListen() {}, ...this.#pem };
    const run = { http: Deno.serve(options, this.#handler), abort, ended: false };
    this.#runs.push(run);
    run.http.finished.catch((error) => {
      run.ended = true;
      if (this.#problem === undefined && !this.#closed) void this.#recover(error);
    });
    return run;
  }

  /** Listens again, with growing waits, until that works or has failed for too long. */
  async #recover(error: unknown): Promise<void> {
    const { clock, log, gaveUp } = this.#options;
    const { url } = this.address;
    const failedAt = clock.monotonicTime();
    const failedMs = () => clock.monotonicTime() - failedAt;
    this.#problem = `No connections are accepted at ${url}: ${messageOf(error)}`;
    log.error("accepts no connections, and will listen again", { url, error });
    // A server that fails again and again must not do so faster and faster.
    if (failedAt - this.#recoveredAt > GIVE_UP_MS) this.#waitMs = WAIT_MS.first;
    for (let cleared = false; !await this.#listensAgain();) {
      if (this.#closed) return;
      if (failedMs() >= GIVE_UP_MS) return gaveUp(new PlugboardError("deaf", this.#problem));
      if (cleared || failedMs() < CLEAR_MS) continue;
      cleared = true;
      log.error("closes all connections to be able to accept new ones", { url });
      for (const { abort } of this.#runs.splice(0)) abort.abort();
    }
    this.#recoveredAt = clock.monotonicTime();
    this.#problem = undefined;
    log.info("accepts connections again", { url, afterMs: Math.round(failedMs()) });
  }

  /** Waits, listens unless it does, and returns whether a connection is accepted. */
  async #listensAgain(): Promise<boolean> {
    const { clock } = this.#options;
    const { hostname, port } = this.address;
    await new Promise<void>((resolve) => {
      this.#cancelWait = clock.after(this.#waitMs, resolve);
    });
    this.#waitMs = Math.min(2 * this.#waitMs, WAIT_MS.longest);
    try {
      const last = this.#runs.at(-1);
      const run = last === undefined || last.ended ? this.#run(hostname, port) : last;
      using _probe = await Deno.connect({ hostname, port });
      return !await settlesWithin(clock, PROBE_MS, run.http.finished) && !this.#closed;
    } catch {
      return false;
    }
  }
}

/** Reads the certificate and the key. */
export function readTls({ certFile, keyFile }: TlsFiles): { cert: string; key: string } {
  return { cert: readPem("certFile", certFile), key: readPem("keyFile", keyFile) };
}

function readPem(option: string, path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    const message = `Cannot start the server: "tls.${option}" cannot be read: ${messageOf(error)}`;
    throw new PlugboardError("bad_tls", message, { cause: error });
  }
}
