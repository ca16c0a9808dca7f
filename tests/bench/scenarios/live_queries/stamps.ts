/** Shared by the writing server and its listeners. */

export const ROWS = 1_000;
export const LISTENERS_PER_ROW = 10;
export const WRITES_PER_SECOND = 1_000;
export const WRITES_PER_TRANSACTION = 10;

/** Returns the wall-clock time of the day in microseconds, which two processes share and which fits in a stamp. */
export function wallMicros(): number {
  return Math.round((performance.timeOrigin + performance.now()) * 1_000) % 86_400_000_000;
}

/** Returns the time of a write as a stamp that the load process finds in any frame. */
export function stampAt(): string {
  return `T=${String(wallMicros()).padStart(14, "0")},00000 `;
}
