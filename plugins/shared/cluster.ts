/**
 * The cluster: how the nodes of a server ask each other.
 *
 * @module
 */

import type { MaybePromise } from "../../core/mod.ts";

/** Answers a question of another node, or of this one. Questions and answers are plain data. */
export type Answer = (question: unknown) => MaybePromise<unknown>;

/** What the nodes answered. */
export interface Answers {
  /** Each answer with the node it comes from. */
  readonly answers: readonly { readonly node: string; readonly answer: unknown }[];
  /** The nodes that failed, or did not answer in time. */
  readonly silent: readonly string[];
}

/** All nodes of a server, this one included. */
export interface Cluster {
  /** The name of this node. */
  readonly node: string;
  /** Answers questions about a topic. Returns the function that ends it. */
  on(topic: string, answer: Answer): () => void;
  /** Asks every node, or one; resolves when all have answered or the time is up. */
  ask(
    topic: string,
    question: unknown,
    options?: { readonly node?: string; readonly ms?: number },
  ): Promise<Answers>;
}

/** Services without a cluster name this node alike. */
const THIS_NODE = crypto.randomUUID();

/**
 * Creates a cluster of this node alone, which calls the answer directly.
 *
 * ```ts
 * import { localCluster } from "@plugboard/server/channels";
 *
 * const cluster = localCluster();
 * cluster.on("uptime", () => performance.now());
 * const { answers, silent } = await cluster.ask("uptime", {});
 * console.log(answers.length, silent.length); // 1 0
 * ```
 */
export function localCluster(node: string = THIS_NODE): Cluster {
  const topics = new Map<string, Answer>();
  return {
    node,
    on(topic, answer) {
      topics.set(topic, answer);
      return () => void topics.delete(topic);
    },
    async ask(topic, question, { node: asked = node } = {}) {
      const answer = asked === node ? topics.get(topic) : undefined;
      if (answer === undefined) return { answers: [], silent: [asked] };
      return { answers: [{ node, answer: await answer(question) }], silent: [] };
    },
  };
}
