/**
 * Waiting for own messages: a publish settles when this node has delivered it, so that the receivers are known and a
 * subscriber has what was acknowledged.
 *
 * @module
 */

/** A message that is expected to come back. */
export interface Echo {
  readonly id: number;
  /** Resolves to the number of receivers on this node; to 0 if the message cannot come any more. */
  readonly receivers: Promise<number>;
  /** Forgets it. */
  end(): void;
}

/** The messages that are expected to come back. */
export interface Echoes {
  expect(channel: string): Echo;
  settle(id: number, receivers: number): void;
  /** The messages of these channels do not come any more. */
  giveUp(isLost: (channel: string) => boolean): void;
}

/** Creates an empty list. */
export function echoes(): Echoes {
  const expected = new Map<number, { channel: string; resolve: (receivers: number) => void }>();
  let last = 0;
  return {
    expect(channel) {
      const { promise, resolve } = Promise.withResolvers<number>();
      const id = ++last;
      expected.set(id, { channel, resolve });
      return { id, receivers: promise, end: () => void expected.delete(id) };
    },
    settle: (id, receivers) => expected.get(id)?.resolve(receivers),
    giveUp(isLost) {
      for (const { channel, resolve } of expected.values()) {
        if (isLost(channel)) resolve(0);
      }
    },
  };
}
