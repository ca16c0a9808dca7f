/** Bundles the libraries that pages of the examples import, into `examples/vendor`: `deno task vendor`. */

import { deno, root } from "./example.ts";

/** The libraries, by the names of their files. */
export const libraries = ["react", "yjs"];

/** Bundles a library for browsers. */
export async function bundleLibrary(name: string): Promise<string> {
  const entry = `examples/vendor/${name}.ts`;
  const { success, stdout, stderr } = await deno([
    "bundle",
    "--quiet",
    "--lock=tests/deno.lock",
    "--platform=browser",
    "--minify",
    entry,
  ]).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  const [from] = (await Deno.readTextFile(new URL(entry, root))).match(/npm:[^"]+/)!;
  return `/* @ts-self-types="./${name}.ts" */\n` +
    `/*! ${from} and what it imports, bundled by deno task vendor. MIT License: https://www.npmjs.com/package/${name} */\n` +
    new TextDecoder().decode(stdout);
}

if (import.meta.main) {
  for (const name of libraries) {
    await Deno.writeTextFile(new URL(`examples/vendor/${name}.js`, root), await bundleLibrary(name));
  }
}
