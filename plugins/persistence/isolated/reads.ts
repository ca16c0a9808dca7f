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
import type { IsolatedOptions, IsolatedRead, IsolatedReads } from "./types.ts";

/** Reads at once. One that cannot be stopped keeps its place. */
const MAX_CONCURRENT = 2;

const MAX_WAITING = 1_000;

/** Bytes of one result. */
const MAX_BYTES = 4_194_304;

/** Reads from the file at `path`. `open` throws while the file is not open. */
export function isolatedReads(
  path: string,
  options: IsolatedOptions,
  open: () => unknown,
  clock: () => Clock,
): IsolatedReads {
  const { maxMemoryBytes = 268_435_456, plugin = "isolated reads" } = options;
  const { runIn = processesAllowed() ? "process" : "worker" } = options;
  const check = checkOptions(plugin);
  check.positiveInteger("maxMemoryBytes", maxMemoryBytes);
  check.oneOf("runIn", runIn, ["process", "worker"]);
  const rule = `"worker" without the permission to run ${Deno.execPath()}, and in a compiled program`;
  check.that(runIn === "worker" || processesAllowed(), "runIn", rule, runIn);
  const executors = pool(() => runIn === "process" ? processExecutor(path) : workerExecutor(), clock);
  const common = { path, heapBytes: runIn === "process" ? maxMemoryBytes : 0 };
  let waiting: PromiseWithResolvers<void>[] = [];
  let free = MAX_CONCURRENT;
  let ended = false;

  function begin(request: ReadRequest): IsolatedRead & { readonly result: Promise<ReadResult> } {
    if (ended) throw stopped();
    if (path === ":memory:") {
      throw new PlugboardError("not_available", "Only a database in a file can be read in isolation");
    }
    open();
    if (!hasStatement(request.sql)) {
      throw new PlugboardError("bad_sql", "There is no statement in the SQL, or a NUL character");
    }
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

  async function enter(): Promise<void> {
    if (ended) throw stopped();
    if (free > 0) return void free--;
    if (waiting.length >= MAX_WAITING) {
      throw new PlugboardError("overloaded", `${MAX_WAITING} queries wait already`);
    }
    const place = Promise.withResolvers<void>();
    waiting.push(place);
    await place.promise;
  }

  function leave(): void {
    const next = waiting.shift();
    if (next === undefined) free++;
    else next.resolve();
  }

  async function run(request: ReadRequest, maxMs: number): Promise<ReadResult> {
    await enter();
    let reading;
    try {
      reading = begin(request);
    } catch (error) {
      leave();
      throw error;
    }
    reading.result.then(leave, leave);
    const late = Promise.withResolvers<never>();
    const cancel = clock().after(maxMs, () => {
      late.reject(new PlugboardError("timeout", `The query takes longer than ${maxMs} ms`));
      reading.stop();
    });
    try {
      return await Promise.race([reading.result, late.promise]);
    } finally {
      cancel();
    }
  }

  return {
    async inspect(sql, { maxMs }) {
      const request = { ...common, sql, params: [], maxRows: 0, maxBytes: 0, inspectOnly: true };
      return (await run(request, maxMs)).inspection!;
    },
    async read(sql, params, { maxRows, maxMs }) {
      const request = { ...common, sql, params, maxRows, maxBytes: MAX_BYTES, strict: true };
      const { columns, rows } = await run(request, maxMs);
      return rows.map((row) => Object.fromEntries(columns.map((name, i) => [name, row[i]!])));
    },
    start: (sql: string, params: Params, keep) => begin({ ...common, sql, params, ...keep }),
    async end() {
      ended = true;
      for (const { reject } of waiting) reject(stopped());
      waiting = [];
      await executors.end();
    },
  };
}

function stopped(): PlugboardError {
  return new PlugboardError("stopped", "The server stops");
}
