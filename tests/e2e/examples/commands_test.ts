/** Each example begins with what it shows and how to run it; that command is run here. */

import assert from "node:assert/strict";
import { root, startExample } from "../../kit/example.ts";

const folder = new URL("examples/", root);
const examples = [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) => name.endsWith(".ts"));

for (const name of examples.sort()) {
  Deno.test(`the command in the first comment of examples/${name} starts it`, async () => {
    const [comment = ""] = Deno.readTextFileSync(new URL(name, folder)).match(/^\/\*\*\n[^]*?\*\//) ?? [];
    assert.match(comment, /^\/\*\*\n \* [A-Z]/, "what does it show?");
    const [, variables, flags, program] = comment.match(/^ \* {5}(.*)deno run (.*) examples\/(.*)$/m) ??
      assert.fail("how is it run?");
    assert.equal(program, name);
    const permissions = flags!.split(" ");
    for (const flag of permissions) assert.match(flag, /^--allow-(?!all)/, "it must say what it needs");
    const env = Object.fromEntries(
      variables!.matchAll(/(\w+)=(\S+)/g).map(([, variable, value]) => [variable, value!]),
    );
    const cwd = await Deno.makeTempDir(); // what it writes goes there
    try {
      const path = new URL(name, folder).pathname;
      await using example = await startExample(["run", "--no-prompt", ...permissions, path], { cwd, env });
      assert.equal(await example.stop(), 0);
    } finally {
      await Deno.remove(cwd, { recursive: true });
    }
  });
}
