/**
 * Compares decimal numbers in texts without rounding them: ids of 64 bits differ in their last digits.
 *
 * @module
 */

/** A decimal number: its digits before the point without leading zeros, and those after it without trailing ones. */
export interface Decimal {
  readonly negative: boolean;
  readonly whole: string;
  readonly fraction: string;
}

const DECIMAL = /^([+-]?)(\d+)(?:\.(\d+))?$/;

/** Filters of many subscribers read the same tag. */
let latest: { readonly text: string; readonly decimal: Decimal | undefined } = {
  text: "",
  decimal: undefined,
};

/** Returns the number in a text; `undefined` if it is none, or has an exponent. */
export function parseDecimal(text: string): Decimal | undefined {
  if (text !== latest.text) latest = { text, decimal: parse(text) };
  return latest.decimal;
}

/** Returns a number below, at or above zero, as `a` is below, equal to or above `b`. */
export function compareDecimals(a: Decimal, b: Decimal): number {
  if (a.negative !== b.negative) return a.negative ? -1 : 1;
  const order = a.whole.length - b.whole.length || compare(a.whole, b.whole) ||
    compare(a.fraction, b.fraction);
  return a.negative ? -order : order;
}

function parse(text: string): Decimal | undefined {
  const match = DECIMAL.exec(text);
  if (match === null) return undefined;
  const [, sign, whole = "", fraction = ""] = match;
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
