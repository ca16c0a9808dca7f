/**
 * Encodes a value once, however often it is asked for. Returns a function that remembers the text of each object while
 * the object is in use.
 */
export function encodeOnce<T extends object>(encode: (value: T) => string): (value: T) => string {
  const texts = new WeakMap<T, string>();
  return (value) => texts.getOrInsertComputed(value, encode);
}
