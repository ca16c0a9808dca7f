const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~";

/** Applies a delta in Fossil's format, as strictly as the SDKs: throws unless everything is as it must be. */
export function applyDelta(source: Uint8Array, delta: Uint8Array): Uint8Array {
  let at = 0;
  const number = (): number => {
    const start = at;
    let value = 0;
    for (let digit; (digit = DIGITS.indexOf(String.fromCharCode(delta[at] ?? 0))) >= 0; at++) {
      value = value * 64 + digit;
    }
    if (at === start) throw new Error("A number is missing");
    return value;
  };
  const expect = (char: string) => {
    if (String.fromCharCode(delta[at++] ?? 0) !== char) throw new Error(`Expected "${char}"`);
  };
  const size = number();
  expect("\n");
  const target = new Uint8Array(size);
  let written = 0;
  const write = (bytes: Uint8Array, length: number) => {
    if (bytes.length !== length) throw new Error("A range is beyond the end");
    target.set(bytes, written);
    written += length;
  };
  for (;;) {
    const value = number();
    const command = String.fromCharCode(delta[at++] ?? 0);
    if (command === "@") {
      const offset = number();
      expect(",");
      write(source.subarray(offset, offset + value), value);
    } else if (command === ":") {
      write(delta.subarray(at, at + value), value);
      at += value;
    } else if (command === ";") {
      if (written !== size) throw new Error(`${written} bytes instead of ${size}`);
      if (value !== checksum(target)) throw new Error("The checksum is wrong");
      if (at !== delta.length) throw new Error("Something follows the checksum");
      return target;
    } else throw new Error(`Unknown command "${command}"`);
  }
}

function checksum(bytes: Uint8Array): number {
  const padded = new Uint8Array(Math.ceil(bytes.length / 4) * 4);
  padded.set(bytes);
  const view = new DataView(padded.buffer);
  let sum = 0;
  for (let i = 0; i < padded.length; i += 4) sum = (sum + view.getUint32(i)) % 2 ** 32;
  return sum;
}
