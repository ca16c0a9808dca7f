import assert from "node:assert/strict";
import { findProgram } from "./programs.ts";

Deno.test("findProgram returns the path of the first name that is installed", () => {
  assert.match(findProgram(["no-such-program", "sh"])!, /\/sh$/);
  assert.equal(findProgram(["no-such-program"]), undefined);
});

Deno.test("a test without its program is skipped, and its name says so", async () => {
  const { code, output } = await runWithoutRedis({});
  assert.equal(code, 0, output);
  assert.match(output, /two nodes \(skipped: redis-server is not installed\) \.\.\. ignored/);
});

Deno.test("a test without its program fails if PLUGBOARD_CI is set", async () => {
  const { code, output } = await runWithoutRedis({ PLUGBOARD_CI: "1" });
  assert.equal(code, 1, output);
  assert.match(output, /two nodes \.\.\. FAILED[^]*redis-server is not installed/);
});

/** Runs a test that needs Redis, with an empty PATH. */
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
