/** The figures of the last ten minutes, of all nodes. */

import { effect, signal } from "@preact/signals";
import { call, connections, follow, state } from "./server.js";

const SECONDS = 600;

/** Figures by node, the oldest first. */
export const figures = signal(new Map());

/** The node that is shown; all of them without a name. */
export const shownNode = signal("");

/** Why there are none. */
export const problem = signal("");

/** Sums over the nodes, except for times, of which the longest counts. */
const LONGEST = new Set(["time", "publishP50Ms", "publishP99Ms", "lagMs"]);

function add(all, node, list) {
  const known = all.get(node) ?? [];
  const last = known.at(-1)?.time ?? 0;
  const added = [...known, ...list.filter(({ time }) => time > last)];
  all.set(node, added.slice(-SECONDS));
}

/** Reads what the server keeps, from the last known second on. */
async function load() {
  const after = Math.min(...Array.from(figures.peek().values(), (list) => list.at(-1)?.time ?? 0));
  try {
    const { nodes } = await call("figures", Number.isFinite(after) ? { after } : {});
    const all = new Map(figures.peek());
    for (const { node, columns, rows } of nodes) {
      const list = rows.map((row) => Object.fromEntries(columns.map((name, i) => [name, row[i]])));
      add(all, node, list);
    }
    figures.value = all;
    problem.value = "";
  } catch (error) {
    problem.value = error.message;
  }
}

/** Begins to follow the figures. Returns the function that ends it. */
export function start() {
  const end = follow("$admin:figures", ({ nodes }) => {
    const all = new Map(figures.peek());
    for (const each of nodes) add(all, each.node, [each.figures]);
    figures.value = all;
  });
  const stop = effect(() => {
    connections.value;
    if (["connecting", "connected"].includes(state.value)) load();
  });
  return () => {
    end();
    stop();
  };
}

/** Forgets everything, after a sign-out. */
export function forget() {
  figures.value = new Map();
}

/** Returns the figures of the shown node, or of all nodes by second. */
export function series() {
  const all = figures.value;
  const one = all.get(shownNode.value) ?? (all.size === 1 ? [...all.values()][0] : undefined);
  if (one !== undefined) return one;
  const bySecond = new Map();
  for (const list of all.values()) {
    for (const each of list) {
      const second = Math.round(each.time / 1_000);
      const sum = bySecond.get(second);
      bySecond.set(second, sum === undefined ? each : merged(sum, each));
    }
  }
  return Array.from(bySecond.keys()).sort((a, b) => a - b).map((second) => bySecond.get(second));
}

function merged(a, b) {
  return Object.fromEntries(
    Object.keys(a).map((name) => [name, LONGEST.has(name) ? Math.max(a[name], b[name]) : a[name] + b[name]]),
  );
}
