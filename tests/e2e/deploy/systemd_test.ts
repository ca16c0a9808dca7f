/** Tests of `examples/deploy/plugboard.service`. */

import assert from "node:assert/strict";
import config from "../../../deno.json" with { type: "json" };
import { deno, root, startExample } from "../../kit/example.ts";
import { testWith } from "../../kit/programs.ts";

const unit = Deno.readTextFileSync(new URL("examples/deploy/plugboard.service", root));

testWith(
  "systemd",
  "systemd accepts the unit and rates it as secure",
  async (analyze) => {
    const folder = await Deno.makeTempDir();
    const file = `${folder}/plugboard.service`;
    await Deno.writeTextFile(file, unit.replaceAll("/usr/local/bin/deno", Deno.execPath()));
    try {
      for (const args of [["verify"], ["security", "--offline=yes", "--threshold=20"]]) {
        const { success, stdout, stderr } = await new Deno.Command(analyze, {
          args: [...args, "--no-pager", file],
        })
          .output();
        const output = new TextDecoder().decode(stderr);
        assert.ok(success, output + new TextDecoder().decode(stdout));
        assert.equal(output, "");
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);

Deno.test("the unit's command runs the bundle with the data in its state folder", async () => {
  const folder = await Deno.makeTempDir();
  const at = (text: string) => text.replaceAll(/\/(opt|var\/lib|var\/cache)\/plugboard/g, `${folder}/$1`);
  try {
    const [program, ...args] = at(unit.match(/^ExecStart=(.*)$/m)![1]!).split(" ");
    assert.equal(program, "/usr/local/bin/deno");
    const env = Object.fromEntries(
      at(unit.match(/^Environment=(.*)$/m)![1]!).split(" ").map((pair) => pair.split("=")),
    );
    const bundle = config.tasks.bundle.command.replace("dist/plugboard.js", `${folder}/opt/plugboard.js`);
    assert.ok((await deno(bundle.split(" ").slice(1)).output()).success);
    await Deno.copyFile(new URL("deno.json", root), `${folder}/opt/deno.json`);
    await using server = await startExample(args, { cwd: folder, env });
    assert.equal(await server.stop(), 0);
    assert.ok(Deno.statSync(`${folder}/var/lib/plugboard.db`).isFile);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
