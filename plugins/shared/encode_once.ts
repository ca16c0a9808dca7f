/**
 * Encodes a value once, however often it is asked for. Returns a function that remembers the encoding of each object while
 * the object is in use.
 */
export function encodeOnce<T extends object, Encoded>(encode: (value: T) => Encoded): (value: T) => Encoded {
  const known = new WeakMap<T, Encoded>();
  return (value) => known.getOrInsertComputed(value, encode);
}
