/**
 * Quiet reads: for code that reads again and again by SQL it does not trust. Nobody is told of them.
 *
 * @module
 */

import { type Clock, PlugboardError } from "../../core/mod.ts";
import type { Inspection, Params, Row } from "../persistence.ts";
import type { Pool } from "./pool.ts";
import { isBlank, type ReadRequest, type ReadResult } from "./reader.ts";

/** Bounds of one quiet read. */
export interface QuietLimits {
  /** More rows than this are refused. */
  readonly maxRows: number;
  /** How long it may take. */
  readonly maxMs: number;
}

/** Reads where it can be stopped. */
export interface QuietReads {
  /** Looks at a query without running it. */
  inspect(sql: string, limits: Pick<QuietLimits, "maxMs">): Promise<Inspection>;
  /** All rows of a committed state; rejects with `timeout`, `too_many_rows` and the codes of a failed query. */
  read(sql: string, params: Params, limits: QuietLimits): Promise<Row[]>;
}

/** Quiet reads that can be ended. */
export interface OpenQuietReads extends QuietReads {
  /** Takes no more, and gives up those that wait; what is under way ends with its executor. */
  end(): void;
}

/** So many at once; one that cannot be stopped keeps its place. */
const AT_ONCE = 2;

/** So many may wait for a place. */
const MAX_WAITING = 1_000;

/** Bytes of one result. */
const MAX_BYTES = 4_194_304;

/** Reads with the executors of `pool`. */
export function quietReads(
  readers: Pool,
  clock: Clock,
  about: Pick<ReadRequest, "path" | "heapBytes">,
): OpenQuietReads {
  let waiting: { resolve: () => void; reject: (error: PlugboardError) => void }[] = [];
  let free = AT_ONCE;
  let ended = false;

  async function place(): Promise<void> {
    if (ended) throw stopped();
    if (free > 0) {
      free--;
      return;
    }
    if (waiting.length >= MAX_WAITING) {
      throw new PlugboardError("overloaded", `${MAX_WAITING} queries wait already`);
    }
    await new Promise<void>((resolve, reject) => waiting.push({ resolve, reject }));
  }

  function leave(): void {
    const next = waiting.shift();
    if (next === undefined) free++;
    else next.resolve();
  }

  async function run(request: ReadRequest, maxMs: number): Promise<ReadResult> {
    if (isBlank(request.sql) || request.sql.includes("\0")) {
      throw new PlugboardError("bad_sql", "There is no statement in the SQL, or a NUL character");
    }
    await place();
    const executor = readers.take();
    const reading = begin();
    const late = Promise.withResolvers<never>();
    const cancel = clock.after(maxMs, () => {
      late.reject(new PlugboardError("timeout", `The query takes longer than ${maxMs} ms`));
      executor.stop();
    });
    try {
      return await Promise.race([reading, late.promise]);
    } finally {
      cancel();
    }

    async function begin(): Promise<ReadResult> {
      try {
        return await executor.read(request);
      } finally {
        readers.give(executor);
        leave();
      }
    }
  }

  return {
    end() {
      ended = true;
      for (const { reject } of waiting) reject(stopped());
      waiting = [];
    },
    async inspect(sql, { maxMs }) {
      const look = { ...about, sql, params: [], maxRows: 0, maxBytes: 0, look: true };
      const { views, reads, ...facts } = (await run(look, maxMs)).facts!;
      return { ...facts, reads: new Map([...reads].filter(([name]) => !views.has(name))) };
    },
    async read(sql, params, { maxRows, maxMs }) {
      const request = { ...about, sql, params, maxRows, maxBytes: MAX_BYTES, strict: true };
      const { columns, rows } = await run(request, maxMs);
      return rows.map((row) => Object.fromEntries(columns.map((name, i) => [name, row[i]!])));
    },
  };
}

function stopped(): PlugboardError {
  return new PlugboardError("stopped", "The server stops");
}
