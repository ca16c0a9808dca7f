/** Splits content, so that merging it does not block the event loop. */

import { recordOf } from "../../shared/records.ts";
import type { Changes, Stamp, TableStamp, ThingsStamp } from "./messages.ts";

/** A table with its rows. */
export interface TableSource {
  readonly id: string;
  readonly rows: Iterable<readonly [id: string, row: ThingsStamp]>;
  readonly hlc: string;
}

/** Content that is read as it is split. */
export interface ContentSource {
  readonly tables: Iterable<TableSource>;
  readonly tablesHlc: string;
  readonly values: Iterable<readonly [id: string, value: Stamp<unknown>]>;
  readonly valuesHlc: string;
}

/** Merging a cell takes about 15 µs. */
const CELLS_PER_CHUNK = 500;

/** Splits content into chunks of cells. The last one has the clocks of tables and of values. */
export function* chunksFrom({ tables, tablesHlc, values, valuesHlc }: ContentSource): Iterable<Changes> {
  const hlcs: [string, TableStamp][] = [];
  for (const { id, rows, hlc } of tables) {
    if (hlc !== "") hlcs.push([id, [{}, hlc]]);
    yield* chunksOfRows(id, rows);
  }
  let chunk: (readonly [string, Stamp<unknown>])[] = [];
  for (const value of values) {
    if (chunk.length === CELLS_PER_CHUNK) {
      yield [[{}], [recordOf(chunk)], 1];
      chunk = [];
    }
    chunk.push(value);
  }
  if (hlcs.length > 0 || tablesHlc !== "" || chunk.length > 0 || valuesHlc !== "") {
    yield [[recordOf(hlcs), tablesHlc], [recordOf(chunk), valuesHlc], 1];
  }
}

/** Splits changes into chunks of cells. */
export function chunksOf([[tables, tablesHlc = ""], [values, valuesHlc = ""]]: Changes): Iterable<Changes> {
  return chunksFrom({
    tables: Object.entries(tables).map(([id, [rows, hlc = ""]]) => ({ id, rows: Object.entries(rows), hlc })),
    tablesHlc,
    values: Object.entries(values),
    valuesHlc,
  });
}

/** Whether content is small enough to be merged at once. */
export function isOneChunk(changes: Changes): boolean {
  const chunks = chunksOf(changes)[Symbol.iterator]();
  chunks.next();
  return chunks.next().done === true;
}

function* chunksOfRows(tableId: string, rows: TableSource["rows"]): Iterable<Changes> {
  let chunk: [string, ThingsStamp][] = [];
  let cells = 0;
  for (const [rowId, row] of rows) {
    for (const part of partsOf(row)) {
      const count = Object.keys(part[0]).length;
      if (cells + count > CELLS_PER_CHUNK && chunk.length > 0) {
        yield chunkOf(tableId, chunk);
        chunk = [];
        cells = 0;
      }
      chunk.push([rowId, part]);
      cells += count + 1;
    }
  }
  if (chunk.length > 0) yield chunkOf(tableId, chunk);
}

function chunkOf(tableId: string, rows: [string, ThingsStamp][]): Changes {
  return [[recordOf([[tableId, [recordOf(rows)] as TableStamp]])], [{}], 1];
}

/** Splits a row into parts of at most one chunk. The last one has the clock. */
function* partsOf(row: ThingsStamp): Iterable<ThingsStamp> {
  const all = Object.entries(row[0]);
  let from = 0;
  for (; all.length - from > CELLS_PER_CHUNK; from += CELLS_PER_CHUNK) {
    yield [recordOf(all.slice(from, from + CELLS_PER_CHUNK))];
  }
  yield from === 0 ? row : [recordOf(all.slice(from)), ...row.slice(1)] as ThingsStamp;
}
