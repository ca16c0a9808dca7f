/**
 * Isolated reads: a few at once, each with a time limit, the others in a queue.
 *
 * @module
 */

import { checkOptions, type Clock, PlugboardError } from "../../../core/mod.ts";
import { hasStatement } from "../../shared/sql_text.ts";
import type { Params } from "../sql_types.ts";
import { workerExecutor } from "./executor.ts";
import { pool } from "./pool.ts";
import { processesAllowed, processExecutor } from "./process.ts";
import type { ReadRequest, ReadResult } from "./reader.ts";
import { turns } from "./turns.ts";
import type { IsolatedLimits, IsolatedOptions, IsolatedRead, IsolatedReads } from "./types.ts";

/** Reads at once. One that cannot be stopped keeps its place. */
const MAX_CONCURRENT = 2;

const MAX_WAITING = 1_000;

const NO_PROCESS =
  "SQL of clients is off: it needs a process of its own, to be stopped and limited in memory. " +
  "Start the server with --allow-run, not as a compiled program";

/** Bytes of one result. */
const MAX_BYTES = 4_194_304;

/** Reads from the file at `path`. `open` throws while the file is not open. */
export function isolatedReads(
  path: string,
  options: IsolatedOptions,
  open: () => unknown,
  clock: () => Clock,
): IsolatedReads {
  const { maxMemoryBytes = 268_435_456, plugin = "isolated reads", trusted = false } = options;
  const { runIn = trusted && !processesAllowed() ? "worker" : "process" } = options;
  const check = checkOptions(plugin);
  check.positiveInteger("maxMemoryBytes", maxMemoryBytes);
  check.oneOf("runIn", runIn, ["process", "worker"]);
  const available = runIn === "worker" || processesAllowed();
  const rule = `"worker" without the permission to run ${Deno.execPath()}, and in a compiled program`;
  check.that(available || options.runIn === undefined, "runIn", rule, runIn);
  const executors = pool(() => runIn === "process" ? processExecutor(path) : workerExecutor(), clock);
  const common = { path, heapBytes: runIn === "process" ? maxMemoryBytes : 0 };
  const places = turns(MAX_CONCURRENT, MAX_WAITING);
  let ended = false;

  /** Throws if a query cannot run here at all. */
  function checkRunnable(sql: string): void {
    if (ended) throw stopped();
    if (!available) throw new PlugboardError("not_available", NO_PROCESS);
    if (path === ":memory:") {
      throw new PlugboardError("not_available", "Only a database in a file can be read in isolation");
    }
    open();
    if (!hasStatement(sql)) {
      throw new PlugboardError("bad_sql", "There is no statement in the SQL, or a NUL character");
    }
  }

  function begin(request: ReadRequest): IsolatedRead & { readonly result: Promise<ReadResult> } {
    checkRunnable(request.sql);
    const executor = executors.take();
    const read = async () => {
      try {
        return await executor.read(request);
      } finally {
        executors.give(executor);
      }
    };
    return {
      result: read(),
      stop: () => executor.stop(),
      get rowCount() {
        return executor.rowCount;
      },
    };
  }

  async function run(request: ReadRequest, limits: Omit<IsolatedLimits, "maxRows">): Promise<ReadResult> {
    const { maxMs, user = "", patient = false } = limits;
    checkRunnable(request.sql);
    const turn = places.enter(user, patient);
    const late = Promise.withResolvers<never>();
    late.promise.catch(() => {}); // it may reject while the query waits for its place
    let begunAt = Infinity;
    let reading: ReturnType<typeof begin> | undefined;

    function stop(): void {
      // A query that has waited for most of the time is not too slow.
      const slow = clock().monotonicTime() - begunAt >= maxMs / 2;
      const error = slow
        ? new PlugboardError("timeout", `The query takes longer than ${maxMs} ms`)
        : new PlugboardError("overloaded", "The query has waited too long for others; try again later");
      turn.withdraw(error);
      late.reject(error);
      reading?.stop();
    }

    let cancel = patient ? undefined : clock().after(maxMs, stop);
    try {
      await turn.entered;
      begunAt = clock().monotonicTime();
      cancel ??= clock().after(maxMs, stop);
      try {
        reading = begin(request);
      } catch (error) {
        places.leave();
        throw error;
      }
      reading.result.then(places.leave, places.leave);
      return await Promise.race([reading.result, late.promise]);
    } finally {
      cancel?.();
    }
  }

  return {
    async inspect(sql, limits) {
      const request = { ...common, sql, params: [], maxRows: 0, maxBytes: 0, inspectOnly: true };
      return (await run(request, limits)).inspection!;
    },
    async read(sql, params, { maxRows, ...limits }) {
      const request = { ...common, sql, params, maxRows, maxBytes: MAX_BYTES, strict: true };
      const { columns, rows } = await run(request, limits);
      return rows.map((row) => Object.fromEntries(columns.map((name, i) => [name, row[i]!])));
    },
    start: (sql: string, params: Params, keep) => begin({ ...common, sql, params, ...keep }),
    async end() {
      ended = true;
      places.end(stopped());
      await executors.end();
    },
  };
}

function stopped(): PlugboardError {
  return new PlugboardError("stopped", "The server stops");
}
