/**
 * Clients without a socket: the app connects them and speaks for them, and the same rules hold as for all others.
 *
 * @module
 */

import {
  closeCodes,
  type Connection,
  type Endpoint,
  type Host,
  PlugboardError,
  type Plugin,
  type Transport,
} from "../../../core/mod.ts";
import type { Access } from "../../auth.ts";
import type { ChannelEncoder, Channels, Client } from "../../channels.ts";

/** A client that the app itself connects. */
export interface LogicalClient {
  /** What the app calls it. */
  readonly id: string;
  /** Its token. */
  readonly auth?: string;
  /** Its API key. */
  readonly apiKey?: string;
  /** Its address, for the limits. @default {"127.0.0.1"} */
  readonly ip?: string;
}

/** Those there are. */
export interface InProcess {
  /** Connects one; rejects with the reason if it may not. One of the same id is replaced. */
  connect(client: LogicalClient): Promise<void>;
  /** The client the app calls so. */
  find(id: string): Client | undefined;
  /** What the app calls a connection. */
  nameOf(connection: string): string | undefined;
}

/** Frames for them go nowhere: the app hears its channels by callbacks. */
const nowhere = (release: () => void): Transport => ({ buffered: 0, send() {}, close: release });
const silent: ChannelEncoder = {
  publication: () => "",
  join: () => "",
  leave: () => "",
  subscribed: () => "",
  unsubscribed: () => "",
};

/** It has no place among the server's paths: no request gets there. */
const endpoint: Endpoint = { name: "in_process", path: "/", open: () => ({ message() {} }) };

/** Lets clients in that have no socket. */
export function inProcess({ access, channels }: {
  access: Pick<Access, "connect" | "signsInByMessage">;
  channels: Pick<Channels, "connect">;
}): Plugin<InProcess> {
  const clients = new Map<string, Client>();
  /** What the app calls them, by their connections' ids. */
  const names = new Map<string, string>();
  let host: Host | undefined;

  async function open({ auth: token, apiKey, ip = "127.0.0.1" }: LogicalClient): Promise<Connection> {
    // Not in headers: what is no token may have characters that no header may.
    const proof = new URLSearchParams({
      ...(token !== undefined && { token }),
      ...(apiKey !== undefined && { api_key: apiKey }),
    });
    const admission = await host!.admit(endpoint, new Request(`http://in-process/?${proof}`), ip);
    if (!(admission instanceof Response)) return admission.open(nowhere(admission.release));
    const { error: { code, message } } = await admission.json();
    throw new PlugboardError(code, message);
  }

  return {
    name: "in_process",
    api: {
      async connect(client) {
        const conn = await open(client);
        try {
          const { identity } = await access.connect(conn);
          if (!conn.open) throw new PlugboardError("closed", "The connection has ended");
          clients.get(client.id)?.conn.close(closeCodes.normal);
          clients.set(client.id, channels.connect(conn, { identity, encoder: silent }));
          names.set(conn.id, client.id);
        } catch (error) {
          conn.close(closeCodes.normal);
          throw error;
        }
      },
      find: (id) => clients.get(id),
      nameOf: (connection) => names.get(connection),
    },
    start(given) {
      host = given;
      access.signsInByMessage(endpoint);
    },
    close({ id }) {
      const name = names.get(id);
      if (name === undefined) return;
      names.delete(id);
      clients.delete(name);
    },
  };
}
