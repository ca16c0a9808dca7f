import assert from "node:assert/strict";
import { root } from "../../kit/example.ts";
import { bundleLibrary, libraries } from "../../kit/vendor.ts";

for (const name of libraries) {
  Deno.test(`examples/vendor/${name}.js is what deno task vendor makes`, async () => {
    const file = await Deno.readTextFile(new URL(`examples/vendor/${name}.js`, root));
    assert.ok(file === await bundleLibrary(name), "it is out of date");
  });
}
