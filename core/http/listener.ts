import type { Clock } from "../contract/clock.ts";
import { messageOf, PlugboardError } from "../contract/errors.ts";
import { settlesWithin } from "../contract/promises.ts";
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

/** Where a listener listens. */
export interface Address {
  /** The numeric address. */
  readonly hostname: string;
  /** The port, also if any free one was requested. */
  readonly port: number;
  /** `http://…` or `https://…`, without a slash at the end. */
  readonly url: string;
}

/** Answers a request. */
type Handler = (request: Request, info: Deno.ServeHandlerInfo) => Promise<Response>;

/** How long the runtime may take to close idle connections. */
const CLOSE_MS = 1_000;

/** An open port. */
export class Listener {
  /** Where it listens. */
  readonly address: Address;
  readonly #http: Deno.HttpServer<Deno.NetAddr>;
  readonly #abort = new AbortController();
  readonly #requests = new Tally();

  /** Opens the port. */
  constructor({ port, hostname, tls }: ListenOptions & { hostname: string }, handler: Handler) {
    const pem = tls && { cert: readPem("certFile", tls.certFile), key: readPem("keyFile", tls.keyFile) };
    const options = { port, hostname, signal: this.#abort.signal, onListen() {}, ...pem };
    try {
      this.#http = Deno.serve(options, async (request, info) => {
        this.#requests.add();
        try {
          return await handler(request, info);
        } finally {
          this.#requests.remove();
        }
      });
    } catch (error) {
      const reason = error instanceof Deno.errors.AddrInUse ? "the address is in use" : messageOf(error);
      const files = tls === undefined ? "" : ` with "${tls.certFile}" and "${tls.keyFile}"`;
      const message = `Cannot listen on ${hostname}:${port}${files}: ${reason}`;
      throw new PlugboardError("listen_failed", message, { cause: error });
    }
    const { addr } = this.#http;
    const host = addr.hostname.includes(":") ? `[${addr.hostname}]` : addr.hostname;
    const url = `${tls ? "https" : "http"}://${host}:${addr.port}`;
    this.address = { hostname: addr.hostname, port: addr.port, url };
  }

  /**
   * Closes the port. Pending requests may finish within `ms` and are aborted after that. The runtime fails if it is
   * asked to abort after it was asked to shut down, so only one of them is used.
   */
  async close(clock: Clock, ms: number): Promise<void> {
    if (await settlesWithin(clock, ms, this.#requests.empty())) {
      await settlesWithin(clock, CLOSE_MS, this.#http.shutdown());
    } else {
      this.#abort.abort();
      await this.#http.finished;
    }
  }
}

function readPem(option: string, path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    const message = `Cannot start the server: "tls.${option}" cannot be read: ${messageOf(error)}`;
    throw new PlugboardError("bad_tls", message, { cause: error });
  }
}
