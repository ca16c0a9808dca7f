/**
 * The cluster over Redis: the nodes ask each other by messages.
 *
 * @module
 */

import type { Buffer } from "node:buffer";
import { type Log, messageOf } from "../../core/mod.ts";
import type { Answer, Answers, Cluster } from "../shared/cluster.ts";
import { splitMessage } from "./encoding.ts";
import type { Shard } from "./shard.ts";

/** What the Redis channels begin with. */
const ALL = "cluster:all";
const NODE = "cluster:node:";
/** The nodes, each with the second at which it is taken for dead. */
const NODES = "nodes";
const BEAT_MS = 1_000;
const DEAD_AFTER_BEATS = 5;

/** A cluster, with its beginning and its end. */
export interface RedisCluster extends Cluster {
  start(log: Log): Promise<void>;
  stop(): Promise<void>;
}

/** A question without all answers. */
interface Asking {
  readonly answers: { node: string; answer: unknown }[];
  readonly failed: Set<string>;
  /** Who must answer. Absent until Redis has told. */
  expected: readonly string[] | undefined;
  readonly done: () => void;
}

/** Creates the cluster on one shard. `forgotten` is called when Redis did not know this node any more: it may have lost its data. */
export function redisCluster(
  shard: Shard,
  node: string,
  answerMs: number,
  forgotten: () => void,
): RedisCluster {
  const topics = new Map<string, Answer>();
  const asked = new Map<number, Asking>();
  /** The nodes as last seen. */
  let nodes: readonly string[] = [node];
  let last = 0;
  let log: Log | undefined;
  let isKnown = false;
  let end = () => {};

  /** Tells the others that this node lives, and learns who else does. */
  async function beat(): Promise<void> {
    const key = shard.prefix + NODES;
    const [now] = await shard.send(["TIME"]) as Buffer[];
    const second = Number(now);
    const [added, , alive] = await Promise.all([
      shard.send(["ZADD", key, `${second + DEAD_AFTER_BEATS * BEAT_MS / 1_000}`, node]),
      shard.send(["ZREMRANGEBYSCORE", key, "-inf", `${second}`]),
      shard.send(["ZRANGE", key, "0", "-1"]) as Promise<Buffer[]>,
    ]);
    nodes = alive.map(String);
    if (added === 1 && isKnown) forgotten();
    isKnown = true;
  }

  function check(asking: Asking): void {
    const { answers, failed, expected } = asking;
    const settled = (each: string) => failed.has(each) || answers.some(({ node }) => node === each);
    if (expected?.every(settled)) asking.done();
  }

  /** Answers a question of another node. */
  async function reply(asker: string, id: string, topic: string, question: string): Promise<void> {
    const answer = topics.get(topic);
    let text = "";
    try {
      if (answer !== undefined) {
        text = JSON.stringify({ answer: await answer(JSON.parse(question).question) });
      }
    } catch (error) {
      log?.error(`the answer to ${topic} failed`, { error: messageOf(error) });
    }
    await shard.publish(NODE + asker, `${node} ${id}\n${text}`);
  }

  function message(name: string, bytes: Buffer): void {
    if (name !== ALL && name !== NODE + node) return;
    const { words: [sender, id, topic, to], rest } = splitMessage(bytes);
    if (topic !== undefined) {
      if (sender === node || to !== "*" && to !== node) return;
      reply(sender!, id!, topic, rest.toString()).catch((error) =>
        log?.warn("a question of another node was not answered", { topic, error: messageOf(error) })
      );
      return;
    }
    const asking = asked.get(Number(id));
    if (asking === undefined) return;
    if (rest.length === 0) asking.failed.add(sender!);
    else asking.answers.push({ node: sender!, answer: JSON.parse(rest.toString()).answer });
    check(asking);
  }

  shard.own({ message, down() {}, back: () => void beat().catch(() => {}) });

  /** Asks the other nodes, or one of them. */
  async function askOthers(topic: string, question: unknown, to: string, ms: number): Promise<Answers> {
    const { promise, resolve: done } = Promise.withResolvers<void>();
    const asking: Asking = { answers: [], failed: new Set(), expected: undefined, done };
    const id = ++last;
    asked.set(id, asking);
    const timer = setTimeout(done, ms);
    const isAsked = (each: string) => each !== node && (to === "*" || to === each);
    try {
      const text = `${node} ${id} ${topic} ${to}\n${JSON.stringify({ question })}`;
      const alive = await shard.run("ask", [NODES], [shard.prefix + ALL, text]) as Buffer[];
      asking.expected = alive.map(String).filter(isAsked);
      if (to !== "*" && asking.expected.length === 0) return { answers: [], silent: [to] };
      check(asking);
      await promise;
    } catch (error) {
      log?.warn("the other nodes were not asked", { topic, error: messageOf(error) });
    } finally {
      clearTimeout(timer);
      asked.delete(id);
    }
    const { answers, expected = nodes.filter(isAsked) } = asking;
    const answered = new Set(answers.map((each) => each.node));
    return { answers, silent: expected.filter((each) => !answered.has(each)) };
  }

  /** Asks this node, without a message. */
  async function askSelf(topic: string, question: unknown): Promise<Answers> {
    const answer = topics.get(topic);
    if (answer === undefined) return { answers: [], silent: [node] };
    return { answers: [{ node, answer: await answer(question) }], silent: [] };
  }

  return {
    node,
    on(topic, answer) {
      topics.set(topic, answer);
      return () => void topics.delete(topic);
    },
    async ask(topic, question, { node: to = "*", ms = answerMs } = {}) {
      const parts = await Promise.all([
        ...(to === "*" || to === node ? [askSelf(topic, question)] : []),
        ...(to === node ? [] : [askOthers(topic, question, to, ms)]),
      ]);
      return {
        answers: parts.flatMap(({ answers }) => answers),
        silent: parts.flatMap(({ silent }) => silent),
      };
    },
    async start(given) {
      log = given;
      await Promise.all([shard.subscribe(ALL), shard.subscribe(NODE + node)]);
      await beat();
      // The network has the system's time, also where a test has another one.
      const timer = setInterval(() => void beat().catch(() => {}), BEAT_MS);
      end = () => clearInterval(timer);
    },
    async stop() {
      end();
      await shard.send(["ZREM", shard.prefix + NODES, node]).catch(() => {});
    },
  };
}
