import type { Batch, Beginning, Order, Progress } from "../messages.ts";
import type { threadConnections } from "./connections.ts";
import type { threadIncoming } from "./incoming.ts";
import type { reporter } from "./reporter.ts";
import type { threadRequests } from "./requests.ts";
import type { Constants, Tools } from "./tools.ts";

/** The parts of the worker's program. */
export interface Parts extends Tools {
  readonly reporter: typeof reporter;
  readonly threadIncoming: typeof threadIncoming;
  readonly threadConnections: typeof threadConnections;
  readonly threadRequests: typeof threadRequests;
}

/** The worker's program: listens, and carries out the orders of the main thread. Runs in a worker, as text. */
export function threadMain(parts: Parts, constants: Constants): void {
  const scope = globalThis as unknown as {
    onmessage: (event: MessageEvent<Batch>) => void;
    postMessage: (batch: Batch) => void;
    process: { threadCpuUsage?(): { user: number; system: number } };
  };
  /** How long to wait before another attempt to listen, and between reports of figures. */
  const [relistenMs, figuresMs] = [250, 1_000];
  const out = parts.reporter((batch) => scope.postMessage(batch));
  const { report } = out;
  let connections: ReturnType<typeof threadConnections>;
  let requests: ReturnType<typeof threadRequests>;
  let http: Deno.HttpServer<Deno.NetAddr>;
  let progress: Progress;
  let stopped = false;

  function begin(beginning: Beginning): void {
    const { pingIntervalMs } = beginning;
    progress = beginning.progress;
    const internals = parts.socketInternals();
    connections = parts.threadConnections(out, parts, internals, constants, beginning);
    requests = parts.threadRequests(out, connections, internals, pingIntervalMs);
    listen(beginning);
    const { port, hostname } = http.addr;
    report("listening", port, hostname);
    setInterval(() => {
      const { user, system } = scope.process.threadCpuUsage?.() ?? { user: 0, system: 0 };
      const cpuSeconds = (user + system) / 1_000_000;
      report("figures", 0, {
        ...connections.figures(),
        heapBytes: Deno.memoryUsage().heapUsed,
        cpuSeconds,
      });
    }, figuresMs);
  }

  /** Listens on the port that all workers share. */
  function listen(beginning: Beginning): void {
    const { hostname, port, tls } = beginning;
    http = tls === undefined
      ? listenOnShared(hostname, port)
      : Deno.serve({ hostname, port, reusePort: true, onListen() {}, ...tls }, requests.handle);
    // Without a free file handle, the runtime ends its server. The connections that are open live on.
    http.finished.catch((error) => {
      report("deaf", 0, error.message);
      relisten(beginning);
    });
  }

  /**
   * Accepts from the socket that all workers share. So a worker that hangs takes no clients. The runtime has this for
   * `deno serve --parallel`, on every system and without a flag, but not with TLS. Only its own code can ask for it,
   * through an option whose name is a symbol.
   */
  function listenOnShared(hostname: string, port: number): Deno.HttpServer<Deno.NetAddr> {
    const options = { hostname, port, onListen() {} };
    let asked = false;
    const shared = new Proxy(options, {
      get(target, key) {
        if (typeof key !== "symbol") return target[key as keyof typeof options];
        if (key.description !== "kLoadBalanced") return undefined;
        return asked = true;
      },
    });
    const server = Deno.serve(shared, requests.handle);
    if (!asked) throw new Error("this version of the runtime cannot share a port between workers");
    return server;
  }

  function relisten(beginning: Beginning): void {
    if (stopped) return;
    setTimeout(() => {
      try {
        listen(beginning);
        report("deaf", 0, undefined);
      } catch {
        relisten(beginning);
      }
    }, relistenMs);
  }

  async function stop(): Promise<void> {
    stopped = true;
    await http.shutdown().catch(() => {});
    report("stopped", 0, undefined);
  }

  /** One order that fails must not end the worker, except the first: the server reports why it cannot listen. */
  function attempt(order: Order): void {
    try {
      carryOut(order);
    } catch (error) {
      if (order[0] === "begin") throw error;
      report("fault", typeof order[1] === "number" ? order[1] : 0, `${order[0]}: ${error}`);
    }
  }

  function carryOut([what, to, value]: Order): void {
    switch (what) {
      case "begin":
        return begin(value);
      case "send":
        return connections.send(to, value);
      case "ping":
        return connections.ping(to);
      case "close":
        return connections.close(to, value);
      case "accept":
        return requests.accept(to, value);
      case "answer":
        return requests.answer(to, value);
      case "part":
        return requests.part(to, value);
      case "end":
        return requests.end(to, value);
      case "pull":
        return requests.pull(to);
      case "took":
        return connections.took(to);
      case "endClosing":
        return connections.endClosing();
      case "stop":
        return void stop();
    }
  }

  /** Posts whose frames the runtime has, and that are not counted yet. */
  let given = 0;

  /**
   * Counts posts that were carried out. The runtime writes to the sockets after the turn in which it got the frames, which
   * takes five times as long, and reads from them after that. So posts count after the next turn: the main thread holds
   * back frames until then and joins them, with those that clients sent while the worker wrote.
   */
  function count(): void {
    Atomics.add(progress, constants.done, given);
    given = 0;
    if (Atomics.exchange(progress, constants.awaited, 0) === 0) return;
    report("done", 0, undefined);
    out.flush();
  }

  scope.onmessage = ({ data }) => {
    for (let i = 0; i < data.length; i += 3) attempt([data[i], data[i + 1], data[i + 2]] as Order);
    if (++given === 1) setImmediate(() => setImmediate(count));
  };
}
