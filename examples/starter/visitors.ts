/** A plugin of this app: publishes to the channel `visitors` how many connections there are. */

import type { Connection, Plugin } from "@plugboard/server";
import type { Channels } from "@plugboard/server/channels";

/** Options of {@linkcode visitors}. */
export interface VisitorsOptions {
  /** Where the number is published. */
  channels: Pick<Channels, "publish">;
}

/** Counts the connections. */
export function visitors({ channels }: VisitorsOptions): Plugin {
  const here = new Set<Connection["id"]>();
  const publish = () => void channels.publish("visitors", { count: here.size });
  return {
    name: "visitors",
    open({ id }) {
      here.add(id);
      publish();
    },
    close({ id }) {
      if (here.delete(id)) publish();
    },
  };
}
