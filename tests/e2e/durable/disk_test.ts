import assert from "node:assert/strict";
import { testWith } from "../../kit/programs.ts";
import { folder } from "../../plugins/persistence/kit.ts";

const CHILD = new URL("disk_child.ts", import.meta.url).pathname;
const SMALL_DISK_CHILD = new URL("small_disk_child.ts", import.meta.url).pathname;
const FAULTS = new URL("../../kit/faults.c", import.meta.url).pathname;
const CONFIG = new URL("../../../deno.json", import.meta.url).pathname;

function run(command: string, ...args: string[]): { success: boolean; stderr: string } {
  try {
    const { success, stderr } = new Deno.Command(command, { args, env: { NO_COLOR: "1" } }).outputSync();
    return { success, stderr: new TextDecoder().decode(stderr) };
  } catch (error) {
    return { success: false, stderr: String(error) };
  }
}

/** Returns the command that runs `first` and then the child in a shell. */
function runChild(first: string, ...args: string[]): string[] {
  return runScript(first, CHILD, ...args);
}

function runScript(first: string, ...args: string[]): string[] {
  const words = [Deno.execPath(), "run", "--allow-all", "--no-check", "--config", CONFIG, ...args];
  return ["sh", "-c", `${first}; exec "$@"`, "sh", ...words];
}

// A small private disk in memory. Any user may mount one where user namespaces are allowed.
const mountable = run(
  "unshare",
  "--user",
  "--map-root-user",
  "--mount",
  "mount",
  "-t",
  "tmpfs",
  "none",
  "/mnt",
);
const where = mountable.success ? "" : " (skipped: this machine does not let users mount a disk)";

Deno.test({
  name: `B04 a full disk during publishing loses no acknowledged publication${where}`,
  ignore: !mountable.success,
  fn() {
    using dir = folder();
    const mount = `mount -t tmpfs -o size=16m none ${dir.path}`;
    const child = runChild(mount, "full", dir.path);
    const { success, stderr } = run("unshare", "--user", "--map-root-user", "--mount", ...child);
    assert.ok(success, stderr);
  },
});

// The log would take the whole disk before its first checkpoint, which then lacks the space it needs.
Deno.test({
  name: `B04 a disk smaller than the write-ahead log may become is not filled by it${where}`,
  ignore: !mountable.success,
  fn() {
    using dir = folder();
    const child = runScript(`mount -t tmpfs -o size=8m none ${dir.path}`, SMALL_DISK_CHILD, dir.path);
    const { success, stderr } = run("unshare", "--user", "--map-root-user", "--mount", ...child);
    assert.ok(success, stderr);
  },
});

const limitable = run("prlimit", "--version").success;

Deno.test({
  name: `B04 a disk that refuses writes for a while loses no acknowledged publication${
    limitable ? "" : " (skipped: there is no prlimit)"
  }`,
  ignore: !limitable,
  fn() {
    using dir = folder();
    const [shell, ...args] = runChild("trap '' XFSZ", "limited", dir.path);
    const { success, stderr } = run(shell!, ...args);
    assert.ok(success, stderr);
  },
});

for (const fault of ["reads", "writes", "checkpoints", "flushes"]) {
  testWith("cc", `B04 a disk whose ${fault} fail for a while loses no acknowledged publication`, (cc) => {
    using dir = folder();
    const library = dir.file("faults.so");
    const compiled = run(cc, "-shared", "-fPIC", "-o", library, FAULTS, "-ldl");
    assert.ok(compiled.success, compiled.stderr);
    Deno.mkdirSync(dir.file("rules"));
    const settings = `export FAULTS='${dir.file("rules")}' LD_PRELOAD='${library}'`;
    const [shell, ...args] = runChild(settings, fault, dir.path);
    const { success, stderr } = run(shell!, ...args);
    assert.ok(success, stderr);
  });
}
