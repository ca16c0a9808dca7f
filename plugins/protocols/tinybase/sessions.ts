import type { CloseCode, Connection, Host, Session, Upgrade } from "../../../core/mod.ts";
import type { FrameEncoder, PathGrant, Paths } from "../../paths.ts";
import { SyncClient } from "./client.ts";
import { closeCodeFor, tinybaseCodes } from "./close_codes.ts";
import { Assembler } from "./fragments.ts";
import { multiplexedSession } from "./multiplexed_session.ts";
import type { PathStore } from "./path_store.ts";

/**
 * Creates the function that opens the session of an accepted connection: with one store, or with several in the
 * multiplexed mode. `storeOf` returns the store of a path, if it is ready.
 */
export function sessions({ paths, fragmentTimeoutMs, storeOf }: {
  paths: Paths;
  fragmentTimeoutMs: number;
  storeOf: (path: string) => PathStore | undefined;
}): (conn: Connection, request: Upgrade, grant: PathGrant, host: Host) => Session {
  /** One for each channel, so that its clients share encoded frames. */
  const encoders = new Map<string, FrameEncoder>();

  function encoderOf(channel: string): FrameEncoder {
    if (encoders.size >= MAX_ENCODERS) encoders.clear();
    return encoders.getOrInsertComputed(channel, () => ({
      encode: (from, payload) => `M\n${channel}\n${from}\n${payload}`,
    }));
  }

  return (conn, request, grant, { clock, log }) => {
    const assembler = new Assembler(clock, fragmentTimeoutMs);

    function close(why: CloseCode): void {
      log.info(`a client was closed: ${why.reason}`, { connection: conn.id, ip: conn.ip });
      conn.close(why);
    }

    function join({ path, permission }: PathGrant, encoder: FrameEncoder, scope: string) {
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

    async function joinChannel(channel: string): Promise<SyncClient | CloseCode> {
      const path = grant.path === "" ? channel : `${grant.path}/${channel}`;
      try {
        const granted = await paths.authorize(request, path);
        if (granted instanceof Response) return closeCodeFor(granted);
        return join(granted, encoderOf(channel), channel);
      } catch (error) {
        log.error("a channel could not be joined", { error });
        return tinybaseCodes.forbidden;
      }
    }

    const session = request.protocol === undefined
      ? singleStore()
      : multiplexedSession({ send: (frame) => void conn.send(frame), close, join: joinChannel });
    return {
      message: session.message,
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
