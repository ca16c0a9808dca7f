/** The figures of the last ten minutes, of all nodes. */

import { effect, signal } from "@preact/signals";
import { call, connections, follow, state } from "./server.js";

const SECONDS = 600;

/** How often they are read by keys that get no live data. */
const READ_MS = 2_000;

/** Figures by node, the oldest first. */
export const figures = signal(new Map());

/** The nodes that have not answered, with the time since when. */
export const silent = signal(new Map());

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

/** Takes what the server sends each second. A node that did not answer is named until it answers, for ten minutes. */
function take({ nodes, silent: names = [], time: now }) {
  const all = new Map(figures.peek());
  for (const each of nodes) add(all, each.node, [each.figures]);
  const isRecent = (time) => time > now - SECONDS * 1_000;
  figures.value = new Map(Array.from(all).filter(([, list]) => isRecent(list.at(-1)?.time ?? 0)));
  const without = new Map([...names.map((node) => [node, now]), ...silent.peek()]);
  for (const { node } of nodes) without.delete(node);
  silent.value = new Map(Array.from(without).filter(([, time]) => isRecent(time)));
}

/** Begins to follow the figures. Returns the function that ends it. */
export function start() {
  let reading;
  const end = follow("$admin:figures", take, {
    failed: () => reading ??= setInterval(load, READ_MS),
    subscribed: () => reading = clearInterval(reading),
  });
  const stop = effect(() => {
    connections.value;
    if (["connecting", "connected"].includes(state.value)) load();
  });
  return () => {
    end();
    stop();
    clearInterval(reading);
  };
}

/** Forgets everything, after a sign-out. */
export function forget() {
  figures.value = new Map();
  silent.value = new Map();
}

/** Returns the figures of the shown node, or of all nodes by second. */
export function series() {
  const all = figures.value;
  const one = all.get(shownNode.value) ?? (all.size === 1 ? [...all.values()][0] : undefined);
  if (one !== undefined) return one;
  return summed([...all.values()]);
}

const secondOf = ({ time }) => Math.round(time / 1_000);

/** Adds up the nodes. They measure at different moments, so the latest figures of each count, up to two seconds old. */
function summed(lists) {
  const seconds = [...new Set(lists.flatMap((list) => list.map(secondOf)))].sort((a, b) => a - b);
  const reached = lists.map(() => 0);
  return seconds.map((second) => {
    const latest = lists.map((list, i) => {
      while (reached[i] < list.length && secondOf(list[reached[i]]) <= second) reached[i]++;
      return list[reached[i] - 1];
    });
    return latest.filter((each) => each !== undefined && second - secondOf(each) <= 2).reduce(merged);
  });
}

function merged(a, b) {
  return Object.fromEntries(
    Object.keys(a).map((name) => [name, LONGEST.has(name) ? Math.max(a[name], b[name]) : a[name] + b[name]]),
  );
}
