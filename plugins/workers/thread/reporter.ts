import type { Batch, Report } from "../messages.ts";

/** Reports to the main thread. */
export interface Reporter {
  report(...report: Report): void;
  /** Posts the reports so far now. */
  flush(): void;
}

/** Posts the reports of one turn of the event loop together. Runs in a worker, as text. */
export function reporter(post: (batch: Batch) => void): Reporter {
  let batch: Batch = [];
  const flush = () => {
    if (batch.length === 0) return;
    const reports = batch;
    batch = [];
    post(reports);
  };
  return {
    report(...report) {
      if (batch.length === 0) setImmediate(flush);
      batch.push(report[0], report[1], report[2]);
    },
    flush,
  };
}
