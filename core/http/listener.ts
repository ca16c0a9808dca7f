/**
 * Listening: the runtime's HTTP server, from its certificate to its end.
 *
 * @module
 */

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

/** Where the server listens. */
export interface Address {
  /** The address, as a number. */
  readonly hostname: string;
  /** The port, also where any would do. */
  readonly port: number;
  /** `http://…` or `https://…`, without a slash at the end. */
  readonly url: string;
}

/** Answers a request. */
type Handler = (request: Request, info: Deno.ServeHandlerInfo) => Promise<Response>;

/** How long the runtime may take to close what has nothing to do any more. */
const CLOSE_MS = 1_000;

/** A port that is listened on. */
export class Listener {
  /** Where it listens. */
  readonly address: Address;
  readonly #http: Deno.HttpServer<Deno.NetAddr>;
  readonly #abort = new AbortController();
  readonly #requests = new Tally();

  /** Opens the port. */
  constructor(port: number, hostname: string, tls: TlsFiles | undefined, handler: Handler) {
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
      const secured = tls === undefined ? "" : ` with "${tls.certFile}" and "${tls.keyFile}"`;
      const message = `Cannot listen on ${hostname}:${port}${secured}: ${reason}`;
      throw new PlugboardError("listen_failed", message, { cause: error });
    }
    const { addr } = this.#http;
    const host = addr.hostname.includes(":") ? `[${addr.hostname}]` : addr.hostname;
    const url = `${tls ? "https" : "http"}://${host}:${addr.port}`;
    this.address = { hostname: addr.hostname, port: addr.port, url };
  }

  /**
   * Closes the port. Requests under way may finish within `ms`, and are cut off then. The runtime knows a gentle
   * and a sudden way, and fails when the second is asked for after the first; so it is asked for one of them only.
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
