import type { Batch, Report } from "../messages.ts";

/** Reports to the main thread. */
export interface Reporter {
  report(...report: Report): void;
  /** Confirms so many posts, with the next reports, or soon. */
  confirm(posts: number): void;
}

/** Posts the reports of one turn of the event loop together. Runs in a worker, as text. */
export function reporter(post: (batch: Batch) => void): Reporter {
  /** How long a confirmation waits for other reports. Each post wakes the main thread. */
  const confirmMs = 5;
  let batch: Batch = [];
  let done: number | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const flush = () => {
    const reports = batch;
    batch = [];
    if (done !== undefined) reports.push("done", done, undefined);
    done = undefined;
    clearTimeout(timer);
    timer = undefined;
    post(reports);
  };
  return {
    report(...report) {
      if (batch.length === 0) setImmediate(flush);
      batch.push(report[0], report[1], report[2]);
    },
    confirm(posts) {
      done = posts;
      if (batch.length === 0) timer ??= setTimeout(flush, confirmMs);
    },
  };
}
