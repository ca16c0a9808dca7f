/**
 * Runs statements as a client's, in a process that an attack may end. Prints one JSON line: the code of each, or "rows".
 * Arguments: a JSON list of `[sql, params]`, and where they run.
 */

import { codeOf, NUMBERS, serveSql } from "../../sql_events/kit.ts";

if (import.meta.main) {
  const [attacks, runIn] = Deno.args as [string, "process" | "worker"];
  await using server = await serveSql();
  await server.store.exec(NUMBERS);
  const reads = server.store.isolated({ runIn });
  const codes: string[] = [];
  for (const [sql, params = []] of JSON.parse(attacks)) {
    codes.push(
      (await codeOf(reads.read(sql, params, { maxRows: 10, maxMs: 3_000 }))).replace("none", "rows"),
    );
  }
  // deno-lint-ignore no-console -- the answer to the test
  console.log(JSON.stringify(codes));
}

/** Runs statements in such a process. Kills it, with its children, when together they use more memory. */
export async function attack(
  attacks: readonly (readonly [sql: string, params?: readonly unknown[]])[],
  runIn: "process" | "worker",
  maxBytes = 1_000_000_000,
): Promise<string[]> {
  const args = ["run", "--quiet", "--allow-all", import.meta.filename!, JSON.stringify(attacks), runIn];
  const process = new Deno.Command(Deno.execPath(), { args, stdout: "piped", stderr: "inherit" }).spawn();
  let peak = 0;
  const watching = setInterval(() => {
    peak = Math.max(peak, memoryOf(process.pid));
    if (peak > maxBytes) process.kill("SIGKILL");
  }, 20);
  try {
    const { success, signal, stdout } = await process.output();
    if (!success) throw new Error(`The process has ended (${signal}), its memory peaked at ${peak} bytes`);
    return JSON.parse(new TextDecoder().decode(stdout));
  } finally {
    clearInterval(watching);
  }
}

/** The resident memory of a process and its children. */
function memoryOf(pid: number): number {
  let bytes = 0;
  for (const { name } of Deno.readDirSync("/proc")) {
    try {
      const status = /^\d+$/.test(name) ? Deno.readTextFileSync(`/proc/${name}/status`) : "";
      const field = (key: string) => Number(new RegExp(`^${key}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? 0);
      if (Number(name) === pid || field("PPid") === pid) bytes += field("VmRSS") * 1024;
    } catch { /* it has ended */ }
  }
  return bytes;
}
