/** The epochs of channels without a log, so that reading an empty channel stores nothing. */
export interface Epochs {
  of(channel: string): string;
  /** The log of a channel was forgotten: a client with a position in it must not take a new one for it. */
  next(channel: string): void;
}

/** The number of channels that share a counter is small enough that forgetting one hardly disturbs others. */
const COUNTERS = 65_536;

/** Makes the epochs of a broker. */
export function epochs(): Epochs {
  const [start] = crypto.getRandomValues(new Uint32Array(1));
  const name = crypto.randomUUID().slice(0, 8);
  const counters = new Uint32Array(COUNTERS);

  /** FNV-1a from a random start, so that nobody can choose names that share a counter. */
  function index(channel: string): number {
    let hash = start!;
    for (let i = 0; i < channel.length; i++) hash = Math.imul(hash ^ channel.charCodeAt(i), 16_777_619);
    return (hash ^ hash >>> 16) & COUNTERS - 1;
  }

  return {
    of: (channel) => `${name}${counters[index(channel)]!.toString(36)}`,
    next: (channel) => void counters[index(channel)]!++,
  };
}
