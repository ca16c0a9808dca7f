/** The names of the channels that carry feeds begin with this. */
export const FEEDS = "$admin:";

/** Sends a value to the subscribers of a feed. */
export type Send = (value: unknown) => void;
