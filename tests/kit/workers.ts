import type { WorkerInfo } from "../../plugins/workers.ts";

/** What a captured worker does in addition to its program. */
const HARM = `addEventListener("message", (event) => {
  const { crash, busyMs, hold } = event.data;
  if (crash) throw new Error("crashed by a test");
  if (hold === undefined && busyMs === undefined) return;
  event.stopImmediatePropagation();
  if (hold) Atomics.wait(new Int32Array(hold), 0, 0);
  else for (const end = performance.now() + busyMs; performance.now() < end;);
});`;

/** The workers that a test has started, so that it can harm them. */
export class CapturedWorkers implements Disposable {
  /** In the order in which they were started. */
  readonly all: Worker[] = [];
  readonly #worker = globalThis.Worker;
  readonly #createUrl = URL.createObjectURL;

  /** Captures all workers from now on. */
  constructor() {
    const { all } = this;
    globalThis.Worker = class extends this.#worker {
      constructor(url: string | URL, options?: WorkerOptions) {
        super(url, options);
        all.push(this);
      }
    };
    URL.createObjectURL = (program) =>
      this.#createUrl.call(URL, new Blob([HARM, program as Blob], program as Blob));
  }

  /** Ends a worker by an uncaught exception. */
  static crash(worker: Worker): void {
    worker.postMessage({ crash: true });
  }

  /** Lets a worker do nothing until the end of the block, or until it is released. */
  static hold(worker: Worker): Disposable & { release(): void } {
    const hold = new SharedArrayBuffer(4);
    worker.postMessage({ hold });
    const release = () => {
      Atomics.store(new Int32Array(hold), 0, 1);
      Atomics.notify(new Int32Array(hold), 0);
    };
    return { release, [Symbol.dispose]: release };
  }

  /** Keeps a worker busy for a time. */
  static occupy(worker: Worker, busyMs: number): void {
    worker.postMessage({ busyMs });
  }

  [Symbol.dispose](): void {
    globalThis.Worker = this.#worker;
    URL.createObjectURL = this.#createUrl;
  }
}

/** The number of connections in each worker. */
export function connectionsOf(workers: readonly WorkerInfo[]): number[] {
  return workers.map(({ connections }) => connections);
}
