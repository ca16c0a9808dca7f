/** The operating system's accounting, from `/proc`. */

/** The length of a tick of `/proc/PID/stat`; fixed at 100 a second for programs, whatever the kernel uses. */
const TICK_SECONDS = 0.01;

/** CPU seconds a process has used, in all its threads, for itself and in the kernel. */
export function cpuSeconds(pid: number): number {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  // The second field is the program's name and may contain anything but the last parenthesis.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_SECONDS;
}

/** CPU seconds that everything on this machine has used. */
export function machineCpuSeconds(): number {
  const [user, nice, system, , , irq, softirq] = Deno.readTextFileSync("/proc/stat").split("\n")[0]!
    .split(/\s+/).slice(1).map(Number);
  return (user! + nice! + system! + irq! + softirq!) * TICK_SECONDS;
}

/**
 * The memory a process has for itself, in KiB. Pages of files are left out: they are shared with whatever other
 * process runs the same program, so their share changes when one of those starts or ends.
 */
export function memoryKilobytes(pid: number): number {
  const rollup = Deno.readTextFileSync(`/proc/${pid}/smaps_rollup`);
  return Number(/^Anonymous:\s+(\d+) kB/m.exec(rollup)![1]);
}

/** How many files this process may open, the most it may ask for. */
export function openFilesLimit(): number {
  const [, hard] = /^Max open files\s+\S+\s+(\S+)/m.exec(Deno.readTextFileSync("/proc/self/limits"))!;
  return hard === "unlimited" ? Infinity : Number(hard);
}
