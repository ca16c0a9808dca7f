/** `deno task new` makes an app that runs at once. */

import assert from "node:assert/strict";
import { sdkClient } from "../../kit/centrifuge.ts";
import { deno, startExample } from "../../kit/example.ts";

/** More reads than one connection may make in some seconds, and the number of the error that says so. */
const READS = 2_000;
const TOO_MANY = 111;

async function make(folder: string): Promise<[success: boolean, output: string]> {
  const { success, stdout, stderr } = await deno(["task", "--quiet", "new", folder]).output();
  return [success, new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr)];
}

Deno.test("deno task new makes an app whose server starts and whose tests pass", async () => {
  const parent = await Deno.makeTempDir();
  const cwd = `${parent}/my app`;
  try {
    const [made, output] = await make(cwd);
    assert(made, output);
    const { success, stderr } = await deno(["test", "--no-check"], { cwd }).output();
    assert(success, new TextDecoder().decode(stderr));
    {
      // What the task runs, without the task's process, which does not pass signals on.
      const { tasks } = JSON.parse(await Deno.readTextFile(`${cwd}/deno.json`));
      await using app = await startExample(tasks.start.split(" ").slice(1), { cwd });
      for (const path of ["/", "/centrifuge.js", "/plugboard.js"]) {
        const response = await fetch(app.url + path);
        assert.equal(response.status, 200, path);
        await response.body?.cancel();
      }
      await using user = sdkClient(app.url);
      user.sdk.connect();
      const visitors = user.sdk.newSubscription("visitors");
      visitors.subscribe();
      await visitors.ready(5_000);
      assert.equal(Object.keys((await visitors.presence()).clients).length, 1);
      const reads = Array.from({ length: READS }, () => visitors.presence().catch(({ code }) => code));
      assert((await Promise.all(reads)).includes(TOO_MANY));
    }
    const [again, refusal] = await make(cwd);
    assert.deepEqual([again, refusal], [false, `${cwd} is not empty; nothing was made\n`]);
  } finally {
    await Deno.remove(parent, { recursive: true });
  }
});
