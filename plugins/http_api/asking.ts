/**
 * Asks the nodes of the server, and merges what they answer.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";
import type { Cluster } from "../channels.ts";
import { Slices } from "../shared/slices.ts";
import { FirstItems } from "./first_items.ts";
import type { Page } from "./nodes.ts";

/** The topics of the questions begin with this. */
export const TOPIC = "http_api.";

type Topic =
  | "channels"
  | "connections"
  | "connection"
  | "info"
  | "figures"
  | "search"
  | "verdict"
  | "journal";

/** What the nodes answered, and those that did not. */
export interface NodeAnswers<Answer> {
  readonly answers: readonly { readonly node: string; readonly answer: Answer }[];
  readonly silent: readonly string[];
}

/** Asks all nodes for what is useful without one of them. */
export async function hearNodes<Answer>(
  cluster: Cluster,
  topic: Topic,
  question: object,
): Promise<NodeAnswers<Answer>> {
  return await cluster.ask(TOPIC + topic, question) as NodeAnswers<Answer>;
}

/** Asks all nodes. Throws `unavailable` if one does not answer. */
export async function askNodes<Answer>(
  cluster: Cluster,
  topic: Topic,
  question: object,
): Promise<NodeAnswers<Answer>["answers"]> {
  const { answers, silent } = await hearNodes<Answer>(cluster, topic, question);
  if (silent.length > 0) throw new PlugboardError("unavailable", `No answer from ${silent.join(", ")}`);
  return answers;
}

/** Merges the pages of all nodes. Entries with the same key are one. */
export async function mergePages<Item>(
  pages: readonly Page<Item>[],
  limit: number | undefined,
  add: (a: Item, b: Item) => Item,
): Promise<Page<Item>> {
  const [first] = pages;
  if (pages.length === 1) return first!;
  const slices = new Slices();
  const merged = new Map<string, Item>();
  for (const { key, item } of pages.flatMap(({ entries }) => entries)) {
    const known = merged.get(key);
    merged.set(key, known === undefined ? item : add(known, item));
    if (slices.due) await slices.next();
  }
  const items = new FirstItems<Item>(limit ?? Infinity);
  for (const [key, item] of merged) items.add(key, item);
  return { entries: items.entries, more: items.more || pages.some(({ more }) => more) };
}
