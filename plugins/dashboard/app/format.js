/** Numbers and times as people read them. */

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const three = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

/** `12,345`; small numbers with three digits: `0.25`. */
export function number(value) {
  if (!Number.isFinite(value)) return "–";
  return Math.abs(value) >= 100 || Number.isInteger(value) ? whole.format(value) : three.format(value);
}

const BYTES = ["B", "KB", "MB", "GB", "TB"];

/** `1.21 MB`. */
export function bytes(value) {
  if (!Number.isFinite(value)) return "–";
  let unit = 0;
  while (value >= 1_000 && unit < BYTES.length - 1) {
    value /= 1_000;
    unit++;
  }
  return `${unit === 0 ? whole.format(value) : three.format(value)} ${BYTES[unit]}`;
}

/** `0.42 ms`, `1.2 s`. */
export function ms(value) {
  if (!Number.isFinite(value)) return "–";
  return value >= 1_000 ? `${three.format(value / 1_000)} s` : `${three.format(value)} ms`;
}

/** `35 %`. */
export const percent = (value) => Number.isFinite(value) ? `${whole.format(value * 100)} %` : "–";

/** `1 client`, `2 clients`. */
export const count = (value, one, many = `${one}s`) => `${number(value)} ${value === 1 ? one : many}`;

/** `14:03:59`. */
export const clock = (time) => new Date(time).toLocaleTimeString("en-GB");

/** `14:03:59.123`. */
export const preciseClock = (time) =>
  new Date(time).toLocaleTimeString("en-GB", {
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    fractionalSecondDigits: 3,
  });

/** `29 Nov 2026, 14:03:59`. */
export const date = (time) =>
  new Date(time).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" });

const UNITS = [[86_400, "d"], [3_600, "h"], [60, "min"], [1, "s"]];

/** `3 min`, `2 h 5 min`. */
export function duration(milliseconds) {
  let seconds = Math.max(0, Math.round(milliseconds / 1_000));
  if (seconds === 0) return "0 s";
  const parts = [];
  for (const [size, unit] of UNITS) {
    const amount = Math.floor(seconds / size);
    if (amount === 0 && parts.length === 0) continue;
    if (amount > 0) parts.push(`${amount} ${unit}`);
    seconds -= amount * size;
    if (parts.length === 2) break;
  }
  return parts.join(" ");
}

/** `3 min ago`, `in 5 s`. */
export function relative(time, now = Date.now()) {
  const past = now - time;
  if (Math.abs(past) < 1_000) return "now";
  return past > 0 ? `${duration(past)} ago` : `in ${duration(-past)}`;
}

/** The name of a node: the first characters of a random one. */
export const nodeName = (node) =>
  /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(node) ? node.slice(0, 8) : node;

/** JSON as text, shortened. */
export function shown(value, max = 2_000) {
  const text = typeof value === "string" ? value : JSON.stringify(value) ?? "undefined";
  return text.length > max
    ? `${text.slice(0, max).toWellFormed()} … (${number(text.length)} characters)`
    : text;
}
