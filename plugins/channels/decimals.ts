/**
 * Compares decimal numbers in texts without rounding them: ids of 64 bits differ in their last digits.
 *
 * @module
 */

const DECIMAL = /^([+-]?)(\d+)(?:\.(\d+))?$/;

/** Whether a text is a decimal number, without an exponent. */
export function isDecimal(text: string): boolean {
  return DECIMAL.test(text);
}

/** Returns a number below, at or above zero, as `a` is below, equal to or above `b`. Both must be decimal numbers. */
export function compareDecimals(a: string, b: string): number {
  const [one, other] = [parse(a), parse(b)];
  if (one.negative !== other.negative) return one.negative ? -1 : 1;
  const order = one.whole.length - other.whole.length || compare(one.whole, other.whole) ||
    compare(one.fraction, other.fraction);
  return one.negative ? -order : order;
}

function parse(text: string): { negative: boolean; whole: string; fraction: string } {
  const [, sign, whole = "", fraction = ""] = DECIMAL.exec(text)!;
  let start = 0;
  while (whole[start] === "0") start++;
  let end = fraction.length;
  while (fraction[end - 1] === "0") end--;
  const negative = sign === "-" && (start < whole.length || end > 0);
  return { negative, whole: whole.slice(start), fraction: fraction.slice(0, end) };
}

function compare(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1;
}
