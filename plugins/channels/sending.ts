import type { Audience, Connection } from "../../core/mod.ts";
import type { Channel } from "./channel.ts";
import type { LocalClients } from "./local_clients.ts";
import type { Publication } from "./publications.ts";
import type { PushForm } from "./types.ts";

/** Sends a publication to the subscribers of a channel, encoded once for each form; returns the number of receivers. */
export function sendPublication(
  channel: Channel,
  publication: Publication,
  clients: LocalClients,
): number {
  const { audience, name, groups } = channel;
  const { except, payload } = publication;
  const excluded = except === undefined ? undefined : clients.all.get(except)?.conn;
  const ahead = channel.connectionsAhead(publication);

  function send(to: Audience, form?: PushForm): number {
    if (payload.isBinary) clients.refuse(payload, to);
    const encode = ({ id }: Connection) => clients.all.get(id)!.encoder.publication(name, publication, form);
    if (ahead === undefined) return to.send(encode, excluded);
    return [...to].filter((conn) => !ahead.has(conn) && conn.send(encode(conn))).length;
  }

  return send(audience) + (groups?.send(publication, send, ahead) ?? 0);
}
