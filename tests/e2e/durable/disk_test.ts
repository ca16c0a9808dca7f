import assert from "node:assert/strict";
import { folder } from "../../plugins/persistence/kit.ts";

const CHILD = new URL("disk_child.ts", import.meta.url).pathname;
const CONFIG = new URL("../../../deno.json", import.meta.url).pathname;

function run(command: string, ...args: string[]): { success: boolean; stderr: string } {
  try {
    const { success, stderr } = new Deno.Command(command, { args, env: { NO_COLOR: "1" } }).outputSync();
    return { success, stderr: new TextDecoder().decode(stderr) };
  } catch (error) {
    return { success: false, stderr: String(error) };
  }
}

/** The child in a shell, after what `first` has prepared for it. */
function runChild(first: string, fault: string, dir: string): string[] {
  const words = [Deno.execPath(), "run", "--allow-all", "--no-check", "--config", CONFIG, CHILD, fault, dir];
  return ["sh", "-c", `${first}; exec "$@"`, "sh", ...words];
}

// A disk of a few megabytes in memory, which nobody else sees: any user may mount one where user namespaces are allowed.
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
const where = mountable.success ? "" : " (skipped: this machine lets no user mount a disk)";

Deno.test({
  name: `B04 a full disk in the midst of publishing costs nothing that was acknowledged${where}`,
  ignore: !mountable.success,
  fn() {
    using dir = folder();
    const mount = `mount -t tmpfs -o size=16m none ${dir.path}`;
    const child = runChild(mount, "full", dir.path);
    const { success, stderr } = run("unshare", "--user", "--map-root-user", "--mount", ...child);
    assert.ok(success, stderr);
  },
});

const limitable = run("prlimit", "--version").success;

Deno.test({
  name: `B04 a disk that refuses writes for a while costs nothing that was acknowledged${
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
