import assert from "node:assert/strict";
import { findProgram } from "./programs.ts";

Deno.test("a program is found where it is installed, by the first of its names that exists", () => {
  assert.match(findProgram(["no-such-program", "sh"])!, /\/sh$/);
  assert.equal(findProgram(["no-such-program"]), undefined);
});

Deno.test("a test without its program is skipped with a line that says so", async () => {
  const { code, output } = await runWithoutRedis({});
  assert.equal(code, 0, output);
  assert.match(output, /two nodes \(skipped: redis-server is not installed\) \.\.\. ignored/);
});

Deno.test("a test without its program fails where nothing may be skipped", async () => {
  const { code, output } = await runWithoutRedis({ PLUGBOARD_CI: "1" });
  assert.equal(code, 1, output);
  assert.match(output, /two nodes \.\.\. FAILED[^]*redis-server is not installed/);
});

/** Runs a file with a test that needs Redis, on a machine that has no programs at all. */
async function runWithoutRedis(env: Record<string, string>): Promise<{ code: number; output: string }> {
  const file = await Deno.makeTempFile({ suffix: "_test.ts" });
  try {
    await Deno.writeTextFile(
      file,
      `import { testWith } from "${import.meta.resolve("./programs.ts")}";
       testWith("redis", "two nodes", () => {});`,
    );
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["test", "--no-check", "--no-config", "--allow-all", file],
      env: { PATH: "", PLUGBOARD_CI: "", NO_COLOR: "1", ...env },
    }).output();
    return { code, output: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
  } finally {
    await Deno.remove(file);
  }
}
