/** Runs the command in the first comment of each example. */

import assert from "node:assert/strict";
import { root, startExample } from "../../kit/example.ts";
import { testWith } from "../../kit/programs.ts";

const folder = new URL("examples/", root);
const examples = [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) => name.endsWith(".ts"));

for (const name of examples.sort()) {
  const source = Deno.readTextFileSync(new URL(name, folder));
  const test = source.includes("`redis-server`") ? testWith.bind(undefined, "redis") : Deno.test;
  test(`the command in the first comment of examples/${name} starts it`, async () => {
    const [comment = ""] = source.match(/^\/\*\*\n[^]*?\*\//) ?? [];
    assert.match(comment, /^\/\*\*\n \* [A-Z]/, "the comment does not describe the example");
    const [, variables, flags, program] = comment.match(/^ \* {5}(.*)deno run (.*) examples\/(.*)$/m) ??
      assert.fail("the comment has no command");
    assert.equal(program, name);
    const permissions = flags!.split(" ");
    for (const flag of permissions) {
      assert.match(flag, /^--allow-(?!all)/, "the command must list its permissions");
    }
    const env = Object.fromEntries(
      variables!.matchAll(/(\w+)=(\S+)/g).map(([, variable, value]) => [variable, value!]),
    );
    const cwd = await Deno.makeTempDir(); // receives the files it writes
    try {
      const path = new URL(name, folder).pathname;
      const args = ["run", "--frozen", ...permissions, path]; // nothing is downloaded but what deno.lock names
      await using example = await startExample(args, { cwd, env, terminal: true });
      assert.doesNotMatch(example.printed(), /Deno requests/);
      await example.stop();
    } finally {
      await Deno.remove(cwd, { recursive: true });
    }
  });
}
