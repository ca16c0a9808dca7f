/** Reads CPU time and memory from `/proc`. */

/** The length of a tick in `/proc/PID/stat`. The interface uses 100 per second on every kernel. */
const TICK_SECONDS = 0.01;

/** Returns the CPU seconds of a process and the processes that it has started. */
export function treeCpuSeconds(pid: number): number {
  const children = Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`).split(" ").filter(Boolean);
  return children.reduce((sum, child) => sum + treeCpuSeconds(Number(child)), cpuSeconds(pid));
}

/** Returns the CPU seconds of a process: all threads, user and system time. */
export function cpuSeconds(pid: number): number {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  // The second field is the program's name, which may contain spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_SECONDS;
}

/** Returns the CPU seconds of a process's main thread, which runs the JavaScript of the main program. */
export function mainThreadSeconds(pid: number): number {
  const [nanoseconds] = Deno.readTextFileSync(`/proc/${pid}/task/${pid}/schedstat`).split(" ");
  return Number(nanoseconds) / 1e9;
}

/** Returns the CPU seconds of the whole machine. */
export function machineCpuSeconds(): number {
  const [user, nice, system, , , irq, softirq] = Deno.readTextFileSync("/proc/stat").split("\n")[0]!
    .split(/\s+/).slice(1).map(Number);
  return (user! + nice! + system! + irq! + softirq!) * TICK_SECONDS;
}

/**
 * Returns the anonymous memory of a process, in KiB. It excludes pages of files, which other processes of the same
 * program share.
 */
export function memoryKilobytes(pid: number): number {
  const rollup = Deno.readTextFileSync(`/proc/${pid}/smaps_rollup`);
  return Number(/^Anonymous:\s+(\d+) kB/m.exec(rollup)![1]);
}

/** Returns the hard limit of open files of this process. */
export function openFilesLimit(): number {
  const [, hard] = /^Max open files\s+\S+\s+(\S+)/m.exec(Deno.readTextFileSync("/proc/self/limits"))!;
  return hard === "unlimited" ? Infinity : Number(hard);
}
