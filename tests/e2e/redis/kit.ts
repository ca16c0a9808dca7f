import assert from "node:assert/strict";
import { Child, Client, until } from "../../kit/mod.ts";

/** How long Redis may not answer in these tests. */
export const TIMEOUT_MS = 600;
/** How long a faulty state may last on a busy machine. A sentinel that was stopped for two seconds does nothing for 30. */
export const PATIENCE_MS = 90_000;

/** A node in a process of its own. */
export interface NodeProcess extends AsyncDisposable {
  readonly url: string;
  readonly child: Child;
}

/** How to start a node. */
export interface NodeOptions {
  readonly presenceMs?: number;
  /** Its port. @default {a free one} */
  readonly port?: number;
  /** How far its clock is ahead. */
  readonly aheadMs?: number;
  /** Where its webhooks go, and what signs them. */
  readonly webhook?: { readonly url: string; readonly secret: string };
}

/** Starts a node. */
export async function startNode(
  redisUrl: string,
  { presenceMs = 60_000, port = 0, aheadMs = 0, webhook }: NodeOptions = {},
): Promise<NodeProcess> {
  const child = new Child(new URL("children/node.ts", import.meta.url), {
    args: [
      redisUrl,
      ...[TIMEOUT_MS, presenceMs, port, aheadMs].map(String),
      ...(webhook ? [webhook.url, webhook.secret] : []),
    ],
  });
  const url = await child.line();
  return { url, child, [Symbol.asyncDispose]: () => child[Symbol.asyncDispose]() };
}

/** Starts nodes on the same Redis servers. */
export async function startNodes(
  count: number,
  redisUrl: string,
  options?: NodeOptions,
): Promise<NodeProcess[]> {
  return await Promise.all(Array.from({ length: count }, () => startNode(redisUrl, options)));
}

/** Disposes of all at the end of a block. */
export function all(list: readonly AsyncDisposable[]): AsyncDisposable {
  return {
    [Symbol.asyncDispose]: async () =>
      void await Promise.all(list.map((each) => each[Symbol.asyncDispose]())),
  };
}

/** What a watcher has received without a gap: publications of one epoch, and of those that continue it. */
interface Stretch {
  first: number;
  readonly data: number[];
}

/** A client that recovers on any node after each fault, and records what it gets. */
export class Watcher implements AsyncDisposable {
  /** A new one begins when the client is told that it cannot recover. */
  readonly stretches: Stretch[] = [];
  readonly #channel: string;
  #urls: readonly string[];
  #position: { offset: number; epoch: string } | undefined;
  #client: Client | undefined;
  #ended = false;
  readonly #running: Promise<void>;
  #subscribed = false;
  /** The number of leaves that it has seen. */
  left = 0;

  constructor(channel: string, urls: readonly string[]) {
    this.#channel = channel;
    this.#urls = urls;
    this.#running = this.#run();
  }

  get subscribed(): boolean {
    return this.#subscribed;
  }

  /** Everything that it has received. */
  get received(): number[] {
    return this.stretches.flatMap(({ data }) => data);
  }

  get last(): number | undefined {
    return this.stretches.at(-1)?.data.at(-1);
  }

  async #run(): Promise<void> {
    for (let tries = 0; !this.#ended; tries++) {
      try {
        await using client = await Client.connect(`${this.#urls[tries % this.#urls.length]}/t`);
        this.#client = client;
        this.#subscribe(client);
        while (!this.#ended) this.#handle(client, await client.nextJson(PATIENCE_MS * 2));
      } catch { /* The next node. */ }
      this.#subscribed = false;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  #subscribe(client: Client): void {
    this.#subscribed = false;
    const recover = this.#position && { recover: this.#position };
    client.sendJson({ do: "subscribe", channel: this.#channel, recoverable: true, ...recover });
  }

  // deno-lint-ignore no-explicit-any -- of the test's protocol
  #handle(client: Client, message: any): void {
    if (message.subscribed !== undefined) {
      if (!message.recovered) this.stretches.push({ first: message.position.offset + 1, data: [] });
      for (const { offset, json } of message.publications) this.#take(offset, JSON.parse(json));
      const { epoch, offset } = message.position;
      this.#position = { epoch, offset: message.publications.at(-1)?.offset ?? offset };
      this.#subscribed = true;
    } else if (message.pub !== undefined) {
      this.#take(message.offset, message.data);
      this.#position = { ...this.#position!, offset: message.offset };
    } else if (message.leave !== undefined) this.left++;
    else if (message.unsubscribed !== undefined) this.#subscribe(client);
    else if (message.error !== undefined) {
      setTimeout(() => client.socket.readyState === 1 && this.#subscribe(client), 30);
    }
  }

  #take(offset: number, data: number): void {
    const { first, data: list } = this.stretches.at(-1)!;
    assert.equal(offset, first + list.length, `offset of a publication in ${this.#channel}`);
    list.push(data);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended = true;
    this.#client?.socket.close();
    await this.#running;
  }
}

/** A client that publishes numbers on any node, and records which were acknowledged. */
export class Publisher implements AsyncDisposable {
  readonly acknowledged: number[] = [];
  errors = 0;
  readonly #channel: string;
  readonly #urls: readonly string[];
  readonly #base: number;
  readonly #pauseMs: number;
  #ended = false;
  #client: Client | undefined;
  readonly #running: Promise<void>;

  constructor(channel: string, urls: readonly string[], base: number, pauseMs = 5) {
    this.#channel = channel;
    this.#urls = urls;
    this.#base = base;
    this.#pauseMs = pauseMs;
    this.#running = this.#run();
  }

  async #run(): Promise<void> {
    let n = this.#base;
    for (let tries = 0; !this.#ended; tries++) {
      try {
        await using client = await Client.connect(`${this.#urls[tries % this.#urls.length]}/t`);
        this.#client = client;
        while (!this.#ended) {
          const data = n++;
          client.sendJson({ do: "publish", channel: this.#channel, data });
          const { published, error } = await client.nextJson(PATIENCE_MS);
          if (published !== undefined) this.acknowledged.push(data);
          else {
            assert.equal(error, "unavailable");
            this.errors++;
          }
          await new Promise((resolve) => setTimeout(resolve, this.#pauseMs));
        }
      } catch { /* The next node. */ }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Waits for some more acknowledged publications. */
  async more(count = 10): Promise<void> {
    const enough = this.acknowledged.length + count;
    await until("further acknowledgements", () => this.acknowledged.length >= enough, PATIENCE_MS);
  }

  /** Waits for the answer that is on its way. */
  async stop(): Promise<void> {
    this.#ended = true;
    await this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended = true;
    this.#client?.socket.close();
    await this.#running;
  }
}

/** Checks that the watchers of one channel have the same order, and everything unless they were told otherwise. */
export async function everybodyHasEverything(
  watchers: readonly Watcher[],
  publishers: readonly Publisher[],
): Promise<void> {
  for (const publisher of publishers) await publisher.stop();
  const acknowledged = publishers.flatMap((each) => each.acknowledged);
  const lasts = publishers.map((each) => each.acknowledged.at(-1)!);
  await until(
    "the last publications everywhere",
    () => watchers.every((each) => lasts.every((last) => each.received.includes(last))),
    PATIENCE_MS,
  );
  for (const watcher of watchers) {
    const { received } = watcher;
    assert.equal(new Set(received).size, received.length, "nothing twice");
    if (watcher.stretches.length > 1) continue; // It was told.
    const got = new Set(received);
    assert.deepEqual(acknowledged.filter((each) => !got.has(each)), [], "acknowledged, but not received");
  }
  const whole = watchers.filter(({ stretches }) => stretches.length === 1);
  for (const { received } of whole) assert.deepEqual(received, whole[0]!.received, "one order");
}
