/** Publishers in the process of a server, which keep it busy. */

import type { Plugin } from "../../../core/mod.ts";
import type { Channels } from "../../../plugins/channels.ts";

const PUBLISHERS = 100;
/** The pause of each publisher, for 2,000 publications per second. */
const PAUSE_MS = 50;

/** `GET /busy/:namespace` lets them publish to channels of that namespace from then on. */
export function busyPublishers(bus: Pick<Channels, "publish">): Plugin {
  let busy: string | undefined;

  async function publish(publisher: number): Promise<never> {
    for (let n = 0;; n++) {
      await bus.publish(`${busy}:busy ${publisher}`, `publication ${n} of ${publisher}`);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS * (0.5 + Math.random())));
    }
  }

  return {
    name: "busy",
    routes: (app) =>
      void app.get("/busy/:namespace", (c) => {
        const others = busy === undefined ? PUBLISHERS : 0;
        busy = c.req.param("namespace");
        for (let i = 0; i < others; i++) void publish(i);
        return c.text(busy);
      }),
  };
}
