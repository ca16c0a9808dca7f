/**
 * A custom plugin: slow mode. In the channels of a namespace, clients wait between two messages.
 *
 *     deno run --allow-net --allow-env examples/slow_mode.ts
 *
 * The second message is refused, with the time to wait:
 *
 *     wscat -c ws://localhost:8083/ws
 *     > {"type":"subscribe","channel":"lobby:1"}
 *     > {"type":"publish","channel":"lobby:1","data":"hello"}
 *     > {"type":"publish","channel":"lobby:1","data":"hello again"}
 */

import { loadSettings, PlugboardError, type Plugin, run, Server, setting } from "@plugboard/server";
import { type Channels, channels } from "@plugboard/server/channels";
import { json } from "@plugboard/server/json";
import { logging } from "@plugboard/server/logging";

/** Options of {@linkcode slowMode}. */
export interface SlowModeOptions {
  /** The channels. */
  channels: Pick<Channels, "extend">;
  /** The namespace: the part of a channel's name before the `:`. */
  namespace: string;
  /** Milliseconds between two messages of a client in a channel. @default {10000} */
  waitMs?: number;
}

/** Limits how often clients publish in each channel of a namespace. */
export function slowMode({ channels, namespace, waitMs = 10_000 }: SlowModeOptions): Plugin {
  /** The end of each wait, in the order of their ends. */
  const waiting = new Map<string, number>();
  return {
    name: "slow_mode",
    start({ clock }) {
      channels.extend({
        name: "slow_mode",
        beforePublish({ channel, client }) {
          if (client === undefined || !channel.startsWith(`${namespace}:`)) return; // the server is not limited
          const now = clock.monotonicTime();
          for (const [who, until] of waiting) {
            if (until > now) break;
            waiting.delete(who);
          }
          const who = `${channel} ${client.info.user || client.id}`;
          const until = waiting.get(who);
          if (until !== undefined) {
            throw new PlugboardError(
              "too_many_requests",
              `Slow mode: wait ${Math.ceil((until - now) / 1_000)} s`,
            );
          }
          waiting.set(who, now + waitMs);
        },
      });
    },
  };
}

if (import.meta.main) {
  const { PORT, WAIT_MS } = loadSettings({
    PORT: setting.integer(8083, "Port to listen on"),
    WAIT_MS: setting.integer(10_000, "Milliseconds to wait between two messages"),
  });
  const server = new Server({ port: PORT });
  server.use(logging());
  const bus = server.use(channels({ namespaces: { lobby: {} } }));
  server.use(slowMode({ channels: bus, namespace: "lobby", waitMs: WAIT_MS }));
  server.use(json({ channels: bus }));
  await run(server);
}
