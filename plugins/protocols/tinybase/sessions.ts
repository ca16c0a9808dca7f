/**
 * Sessions of TinyBase clients: one store for each socket, or several in the multiplexed mode.
 *
 * @module
 */

import type { CloseCode, Connection, Host, Session, Upgrade } from "../../../core/mod.ts";
import type { FrameEncoder, PathGrant, Paths } from "../../paths.ts";
import { SyncClient } from "./client.ts";
import { closeCodeFor } from "./close_codes.ts";
import { Assembler } from "./fragments.ts";
import { multiplexedSession } from "./multiplexed_session.ts";
import type { PathStore } from "./path_store.ts";

/** What sessions need. */
export interface SessionsOptions {
  readonly paths: Paths;
  readonly fragmentTimeoutMs: number;
  /** Returns the store of a path, if it is ready. */
  readonly storeOf: (path: string) => PathStore | undefined;
}

/** Opens the session of an accepted connection. */
export type OpenSession = (conn: Connection, request: Upgrade, grant: PathGrant, host: Host) => Session;

/** Creates the function that opens sessions. */
export function sessions({ paths, fragmentTimeoutMs, storeOf }: SessionsOptions): OpenSession {
  const encoderOf = channelEncoders();

  return (conn, request, grant, { clock, log }) => {
    const assembler = new Assembler(clock, fragmentTimeoutMs);

    function close(why: CloseCode): void {
      log.info(`a client was closed: ${why.reason}`, { connection: conn.id, ip: conn.ip });
      conn.close(why);
    }

    function join(
      { path, permission }: PathGrant,
      encoder: FrameEncoder,
      scope: string,
    ): SyncClient | CloseCode {
      const member = paths.join(path, { conn, encoder, permission, id: conn.id });
      if ("code" in member) return member;
      return new SyncClient({ member, store: () => storeOf(path), assembler, scope, clock, close });
    }

    function singleStore(): Session {
      const client = join(grant, singleStoreEncoder, "");
      if (client instanceof SyncClient) {
        return { message: (data) => client.receive(data), close: () => client.leave() };
      }
      conn.close(client);
      return { message() {} };
    }

    function multiplexed(): Session {
      return multiplexedSession({
        send: (frame) => void conn.send(frame),
        close,
        async join(channel) {
          const path = grant.path === "" ? channel : `${grant.path}/${channel}`;
          const granted = await paths.authorize(request, path);
          return granted instanceof Response
            ? closeCodeFor(granted)
            : join(granted, encoderOf(channel), channel);
        },
        onError: (error) => log.error("a channel could not be joined", { error }),
      });
    }

    const session = request.protocol === undefined ? singleStore() : multiplexed();
    return {
      message: (data) => session.message(data),
      close(why) {
        assembler.clear();
        session.close?.(why);
      },
    };
  };
}

const singleStoreEncoder: FrameEncoder = { encode: (from, payload) => `${from}\n${payload}` };

/** After eviction, new clients of a channel do not share encoded frames with earlier ones. */
const MAX_ENCODERS = 10_000;

/** Caches one encoder for each channel, so that its clients share encoded frames. */
function channelEncoders(): (channel: string) => FrameEncoder {
  const encoders = new Map<string, FrameEncoder>();
  return (channel) => {
    let encoder = encoders.get(channel);
    if (encoder === undefined) {
      if (encoders.size >= MAX_ENCODERS) encoders.clear();
      encoder = { encode: (from, payload) => `M\n${channel}\n${from}\n${payload}` };
      encoders.set(channel, encoder);
    }
    return encoder;
  };
}
