/**
 * Waiting for own messages: a publish settles when this node has delivered it, so that the receivers are known and a
 * subscriber has what was acknowledged.
 *
 * @module
 */

import type { Draft } from "../channels.ts";

/** A message that is expected to come back. */
export interface Echo {
  readonly id: number;
  readonly channel: string;
  /** What this node has published: it need not read it again. */
  readonly draft: Draft | undefined;
  /** The number of receivers on this node, once it has come back; 0 if it cannot come any more. */
  receivers: number | undefined;
  /** Called with them, if they are waited for. */
  settled?: (receivers: number) => void;
}

/** The messages that are expected to come back. */
export interface Echoes {
  expect(channel: string, draft?: Draft): Echo;
  find(id: number): Echo | undefined;
  settle(echo: Echo, receivers: number): void;
  /** Resolves to the number of receivers. */
  receivers(echo: Echo): Promise<number>;
  /** Forgets it. */
  end(echo: Echo): void;
  /** The messages of these channels do not come any more. */
  giveUp(isLost: (channel: string) => boolean): void;
}

/** Creates an empty list. */
export function echoes(): Echoes {
  const expected = new Map<number, Echo>();
  let last = 0;

  function settle(echo: Echo, receivers: number): void {
    if (echo.receivers !== undefined) return;
    echo.receivers = receivers;
    echo.settled?.(receivers);
  }

  return {
    expect(channel, draft) {
      const echo: Echo = { id: ++last, channel, draft, receivers: undefined };
      expected.set(echo.id, echo);
      return echo;
    },
    find: (id) => expected.get(id),
    settle,
    receivers: async (echo) => echo.receivers ?? await new Promise((resolve) => echo.settled = resolve),
    end: ({ id }) => void expected.delete(id),
    giveUp(isLost) {
      for (const echo of expected.values()) if (isLost(echo.channel)) settle(echo, 0);
    },
  };
}
