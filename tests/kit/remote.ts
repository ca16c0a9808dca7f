/**
 * Stand-ins for services on other machines: they answer later, sometimes fail, and share no object with their callers.
 * Their randomness has a seed, so that a run can be repeated: `REMOTE_SEED=7 deno test …`.
 */

import { PlugboardError } from "../../core/mod.ts";
import {
  type Answer,
  type Broker,
  type BrokerEvents,
  type Cluster,
  type Draft,
  memoryBroker,
  Payload,
} from "../../plugins/channels.ts";
import { memoryPresenceStore, type PresenceStore } from "../../plugins/presence.ts";
import { redisSurroundings } from "./redis.ts";

/** A network that delays calls, and loses some before they arrive. */
export class Network {
  #state: number;
  readonly #failures: number;

  /** `failures` is the share of calls that fail. */
  constructor({ seed = Number(Deno.env.get("REMOTE_SEED") ?? 1), failures = 0.2 } = {}) {
    this.#state = seed;
    this.#failures = failures;
  }

  /** Returns a random number below 1 (mulberry32). */
  random(): number {
    let mixed = this.#state = this.#state + 0x6d2b79f5 | 0;
    mixed = Math.imul(mixed ^ mixed >>> 15, mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ mixed >>> 7, mixed | 61);
    return ((mixed ^ mixed >>> 14) >>> 0) / 2 ** 32;
  }

  /** Whether the next call fails. */
  fails(): boolean {
    return this.random() < this.#failures;
  }

  /** Waits for some turns of the event loop. */
  async delay(): Promise<void> {
    for (let turns = Math.floor(this.random() * 4); turns > 0; turns--) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Calls a service. The answer comes later, and the call may fail before it reaches the service. */
  async call<T>(work: () => T): Promise<Awaited<T>> {
    await this.delay();
    if (this.fails()) throw new PlugboardError("unavailable", "The network has lost this call");
    return await this.reliably(work);
  }

  /** Calls a service that never fails. */
  async reliably<T>(work: () => T): Promise<Awaited<T>> {
    await this.delay();
    const result = await work();
    await this.delay();
    return result;
  }
}

/** Copies a draft or a publication as if it was sent as bytes. */
function copied<T extends Draft>({ payload, ...rest }: T): T {
  const { content } = payload;
  const copy = typeof content === "string"
    ? Payload.fromValidJson(content)
    : Payload.fromBytes(content.slice());
  return { ...structuredClone(rest), payload: copy } as T;
}

/**
 * Brokers for several nodes with one history. Publishing never fails, everything else may. A node gets only what is
 * published in channels it has subscribed to; the publishing node gets it before the publish settles.
 */
export function remoteBrokers(count: number, network: Network = new Network()): Broker[] {
  const shared = memoryBroker();
  const nodes = Array.from({ length: count }, () => ({
    channels: new Set<string>(),
    events: undefined as BrokerEvents | undefined,
  }));
  let publisher: typeof nodes[number] | undefined;
  let starting: Promise<void> | undefined;
  let running = 0;
  let order: Promise<unknown> = Promise.resolve();
  /** Calls whose order counts, such as publishes. */
  function inOrder<T>(work: () => T): Promise<Awaited<T>> {
    const result = order.then(() => network.reliably(work));
    order = result.catch(() => {});
    return result;
  }

  const events: BrokerEvents = {
    publication(channel, publication, epoch) {
      let receivers = 0;
      for (const node of nodes) {
        if (!node.channels.has(channel)) continue;
        const deliver = () => node.events?.publication(channel, copied(publication), epoch) ?? 0;
        if (node === publisher) receivers = deliver();
        else setImmediate(deliver);
      }
      return receivers;
    },
    presence(channel, announcement) {
      for (const node of nodes) {
        if (node.channels.has(channel)) node.events?.presence(channel, structuredClone(announcement));
      }
    },
    interrupted: (channel) => nodes.forEach((node) => node.events?.interrupted(channel)),
  };

  return nodes.map((node): Broker => ({
    async start(given, host) {
      node.events = given;
      running++;
      await (starting ??= Promise.try(() => shared.start?.(events, host)));
    },
    stop() {
      if (--running === 0) shared.stop?.();
    },
    publish(channel, draft, options) {
      const copy = copied(draft);
      return inOrder(() => {
        publisher = node;
        return structuredClone(shared.publish(channel, copy, structuredClone(options)));
      });
    },
    announce: (channel, announcement) =>
      inOrder(() => shared.announce(channel, structuredClone(announcement))),
    subscribe: (channel) => network.call(() => void node.channels.add(channel)),
    unsubscribe: (channel) => network.call(() => void node.channels.delete(channel)),
    history: (channel, query, keep) =>
      network.call(async () => {
        const { publications, top } = await shared.history(
          channel,
          structuredClone(query),
          structuredClone(keep),
        );
        return { publications: publications.map(copied), top: structuredClone(top) };
      }),
    removeHistory: (channel) => network.call(() => shared.removeHistory(channel)),
  }));
}

/** A presence store for several nodes. */
export function remotePresenceStore(network: Network = new Network()): PresenceStore {
  const shared = memoryPresenceStore();
  return {
    put: (channel, present) => network.call(() => shared.put(channel, structuredClone(present), 0)),
    remove: (channel, client) => network.call(() => shared.remove(channel, client)),
    get: (channel, client) => network.call(() => structuredClone(shared.get(channel, client))),
    list: (channel) => network.call(() => structuredClone(shared.list(channel))),
    count: (channel) => network.call(() => structuredClone(shared.count(channel))),
  };
}

/** A node of a test's cluster. */
export interface TestCluster extends Cluster {
  /** Whether the node does not answer. */
  silent: boolean;
}

/** A cluster of nodes in this process. A question that fails reaches no node. */
export function remoteClusters(count: number, network: Network = new Network()): TestCluster[] {
  const nodes = Array.from({ length: count }, (_, i) => ({
    node: `node${i + 1}`,
    silent: false,
    topics: new Map<string, Answer>(),
  }));
  return nodes.map((own): TestCluster =>
    Object.assign(own, {
      on(topic: string, answer: Answer) {
        own.topics.set(topic, answer);
        return () => {
          own.topics.delete(topic);
        };
      },
      async ask(topic: string, question: unknown, { node }: { node?: string } = {}) {
        const asked = nodes.filter((each) => node === undefined || each.node === node);
        await network.delay();
        if (network.fails()) return { answers: [], silent: asked.map((each) => each.node) };
        const answers: { node: string; answer: unknown }[] = [];
        const silent: string[] = [];
        await Promise.all(asked.map(async (each) => {
          await network.delay();
          const answer = each.silent ? undefined : each.topics.get(topic);
          if (answer === undefined) silent.push(each.node);
          else {answers.push({
              node: each.node,
              answer: structuredClone(await answer(structuredClone(question))),
            });}
        }));
        return { answers, silent };
      },
    })
  );
}

/** Repeats work until the network does not lose it. */
export async function persistently<T>(work: () => T): Promise<Awaited<T>> {
  for (let tries = 1;; tries++) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof PlugboardError && error.code === "unavailable") || tries === 100) throw error;
    }
  }
}

/** The same service, whose calls are repeated until the network does not lose them. */
export function persistent<Service extends object>(service: Service): Service {
  return new Proxy(service, {
    get(target, name, receiver) {
      const member: unknown = Reflect.get(target, name, receiver);
      if (typeof member !== "function") return member;
      return (...args: unknown[]) => {
        const result: unknown = member.apply(target, args);
        if (!(result instanceof Promise)) return result;
        let first: Promise<unknown> | undefined = result;
        return persistently(() => {
          const call = first ?? member.apply(target, args);
          first = undefined;
          return call;
        });
      };
    },
  });
}

/** Where a suite runs: with services of this process, or with remote ones. */
export interface Surroundings {
  readonly name: string;
  readonly remote: boolean;
  broker(): Broker;
  /** Absent: the default. */
  cluster(): Cluster | undefined;
  store(): PresenceStore | undefined;
  /** A service as the tests call it. */
  readonly patient: <Service extends object>(service: Service) => Service;
}

const SURROUNDINGS: readonly Surroundings[] = [
  {
    name: "",
    remote: false,
    broker: memoryBroker,
    cluster: () => undefined,
    store: () => undefined,
    patient: (service) => service,
  },
  {
    name: " (remote services)",
    remote: true,
    broker: () => remoteBrokers(1)[0]!,
    cluster: () => remoteClusters(1)[0]!,
    store: remotePresenceStore,
    patient: persistent,
  },
];

/** A broker that stores a publication first, and delivers it a turn later: it can be read before it is delivered. */
export const lateDelivery: Surroundings = {
  ...SURROUNDINGS[0]!,
  name: " (late delivery)",
  broker: () => late(memoryBroker()),
};

function late(broker: Broker): Broker {
  return {
    ...broker,
    async publish(...args) {
      const { offset, epoch } = await broker.publish(...args);
      await new Promise((resolve) => setImmediate(resolve));
      return { offset, epoch, receivers: 0 };
    },
    start: (events, host) =>
      broker.start?.({
        presence: (...args) => events.presence(...args),
        interrupted: (...args) => events.interrupted(...args),
        publication(...args) {
          setImmediate(() => events.publication(...args));
          return 0;
        },
      }, host),
  };
}

/** Defines a test that runs with services of this process, with remote ones, in Redis, and in `more` surroundings. */
export function everywhere(
  name: string,
  run: (where: Surroundings) => Promise<void>,
  more: readonly Surroundings[] = [],
): void {
  for (const where of [...SURROUNDINGS, ...more]) Deno.test(name + where.name, () => run(where));
  const inRedis = redisSurroundings();
  if (inRedis !== undefined) Deno.test(`B12 in Redis: ${name}`, () => run(inRedis));
}
