/** What the writing server and its listeners have agreed upon. */

export const ROWS = 1_000;
export const LISTENERS_PER_ROW = 10;
export const WRITES_PER_SECOND = 1_000;
export const WRITES_PER_TRANSACTION = 10;

/** Two processes have no clock in common but the one on the wall; a day of it has room in a stamp. */
export function wallMicros(): number {
  return Math.round((performance.timeOrigin + performance.now()) * 1_000) % 86_400_000_000;
}

/** The time of a write, in the form in which the load finds it in whatever frame. */
export function stampAt(): string {
  return `T=${String(wallMicros()).padStart(14, "0")},00000 `;
}
