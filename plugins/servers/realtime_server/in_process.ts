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

/** A client without a socket, which the app connects. */
export interface LogicalClient {
  /** The app's id of the client. */
  readonly id: string;
  /** A token. */
  readonly auth?: string;
  /** An API key. */
  readonly apiKey?: string;
  /** The IP address, for the limits. @default {"127.0.0.1"} */
  readonly ip?: string;
}

/** The clients without a socket. */
export interface InProcess {
  /** Connects a client, or rejects with the reason. Replaces a client of the same id. */
  connect(client: LogicalClient): Promise<void>;
  /** Returns a client by the app's id. */
  find(id: string): Client | undefined;
  /** Returns the app's id of a connection. */
  nameOf(connection: string): string | undefined;
}

/** Discards all frames: the app receives messages by callbacks. */
const discard = (release: () => void): Transport => ({ buffered: 0, send() {}, close: release });
const emptyEncoder: ChannelEncoder = {
  publication: () => "",
  join: () => "",
  leave: () => "",
  subscribed: () => "",
  unsubscribed: () => "",
};

/** Not registered with the server: no request reaches it. */
const endpoint: Endpoint = { name: "in_process", path: "/", open: () => ({ message() {} }) };

/**
 * Connects clients without a socket. The app acts for them; permissions and limits apply as to all others.
 */
export function inProcess({ access, channels }: {
  access: Pick<Access, "connect" | "signsInByMessage">;
  channels: Pick<Channels, "connect">;
}): Plugin<InProcess> {
  const clients = new Map<string, Client>();
  /** The app's ids by connection id. */
  const names = new Map<string, string>();
  let host: Host | undefined;

  async function open({ auth: token, apiKey, ip = "127.0.0.1" }: LogicalClient): Promise<Connection> {
    // Not in headers: an invalid token may contain characters that headers cannot.
    const proof = new URLSearchParams({
      ...(token !== undefined && { token }),
      ...(apiKey !== undefined && { api_key: apiKey }),
    });
    const admission = await host!.admit(endpoint, new Request(`http://in-process/?${proof}`), ip);
    if (!(admission instanceof Response)) return admission.open(discard(admission.release)).connection;
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
          clients.set(client.id, channels.connect(conn, { identity, encoder: emptyEncoder }));
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
