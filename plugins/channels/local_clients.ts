import type { Connection } from "../../core/mod.ts";
import type { Payload } from "../shared/payload.ts";
import type { Target } from "./service.ts";
import type { Client } from "./types.ts";

/** The clients of this node. */
export class LocalClients {
  /** All clients by the id of their connection. */
  readonly all = new Map<string, Client>();
  readonly #byUser = new Map<string, Set<Client>>();

  add(client: Client): void {
    this.all.set(client.id, client);
    const { user } = client.identity;
    if (user === "") return;
    const own = this.#byUser.get(user);
    if (own === undefined) this.#byUser.set(user, new Set([client]));
    else own.add(client);
  }

  delete(client: Client): void {
    this.all.delete(client.id);
    const { user } = client.identity;
    const own = this.#byUser.get(user);
    own?.delete(client);
    if (own?.size === 0) this.#byUser.delete(user);
  }

  /** Returns the clients that match. */
  targeted(target: Target): Client[] {
    const { user, client, session, except = [] } = target;
    return this.#candidates(target).filter((each) =>
      (user === undefined || each.identity.user === user) &&
      (client === undefined || each.id === client) &&
      (session === undefined || each.session === session) &&
      !except.includes(each.id)
    );
  }

  #candidates({ user, client }: Target): Client[] {
    if (client !== undefined) {
      const found = this.all.get(client);
      return found === undefined ? [] : [found];
    }
    return [...user === undefined ? this.all.values() : this.#byUser.get(user) ?? []];
  }

  /** Closes the connections whose encoding cannot express the payload. */
  refuse(payload: Payload, conns: Iterable<Connection>): void {
    for (const conn of conns) {
      const why = this.all.get(conn.id)?.encoder.refusal?.(payload);
      if (why !== undefined) conn.close(why);
    }
  }
}
