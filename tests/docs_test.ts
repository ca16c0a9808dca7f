/** Checks exports and documentation. The examples in the documentation run by `deno task ok`. */

import assert from "node:assert/strict";
import config from "../deno.json" with { type: "json" };

const root = new URL("../", import.meta.url);

Deno.test("every plugin has an export of its name", () => {
  const expected = new Map([
    [".", "./core/mod.ts"],
    // What runs in browsers has the short name, and the plugin that serves it the longer one.
    ["./client", "./plugins/client/mod.ts"],
    ["./client/react", "./plugins/client/react.ts"],
    ["./client/plugin", "./plugins/client.ts"],
  ]);
  for (const folder of ["plugins", "plugins/protocols", "plugins/servers"]) {
    for (const { name, isFile } of Deno.readDirSync(new URL(folder, root))) {
      if (!isFile || !name.endsWith(".ts") || name === "client.ts") continue;
      const specifier = `./${name.slice(0, -3)}`;
      assert(!expected.has(specifier), `${folder}/${name} and ${expected.get(specifier)} have the same name`);
      expected.set(specifier, `./${folder}/${name}`);
    }
  }
  assert.deepEqual(new Map(Object.entries(config.exports).sort()), new Map([...expected].sort()));
});

Deno.test("every export is documented", async () => {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["doc", "--lock=tests/deno.lock", "--lint", ...Object.values(config.exports)],
    cwd: root,
    env: { NO_COLOR: "1" },
  }).output();
  const [, ...findings] = new TextDecoder().decode(stderr).split(/^error(?=\[)/m);
  assert(success || findings.length > 0, new TextDecoder().decode(stderr));
  const ours = findings.filter((finding) => !concernsForeignType(finding));
  assert.equal(
    ours.length,
    0,
    `\n${ours.map((finding) => finding.split("\n").slice(0, 2).join("\n")).join("\n")}`,
  );
});

Deno.test("every exported function has an example", async () => {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["doc", "--lock=tests/deno.lock", "--json", ...Object.values(config.exports)],
    cwd: root,
  }).output();
  const { nodes }: { nodes: Record<string, { symbols: DocSymbol[] }> } = JSON.parse(
    new TextDecoder().decode(stdout),
  );
  const functions = Object.values(nodes).flatMap(({ symbols }) => symbols).flatMap(({ name, declarations }) =>
    declarations.filter(({ kind }) => kind === "function")
      .map(({ jsDoc, location }) => ({ name, file: new URL(location.filename), doc: jsDoc?.doc ?? "" }))
  );
  assert.ok(functions.length > 40);
  const without = functions.filter(({ name, file, doc }) => {
    const [module = ""] = Deno.readTextFileSync(file).match(/^\/\*\*[^]*?\*\//) ?? [];
    const examples = [...(doc + module).matchAll(/```[tj]s[^]*?```/g)].join("\n");
    return !new RegExp(`\\b${name}[<(]`).test(examples);
  });
  assert.deepEqual(without.map(({ name, file }) => `${name} in ${file.pathname}`), []);
});

/** A symbol in the output of `deno doc`. */
interface DocSymbol {
  readonly name: string;
  readonly declarations: readonly {
    readonly kind: string;
    readonly location: { readonly filename: string };
    readonly jsDoc?: { readonly doc?: string };
  }[];
}

Deno.test("the package can be published with explicit types and only its own files", async () => {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["publish", "--lock=tests/deno.lock", "--dry-run", "--allow-dirty", "--no-check"],
    cwd: root,
    env: { NO_COLOR: "1" },
  }).output();
  const output = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assert.ok(success, output);
  const files = [...output.matchAll(/file:\/\/(\S+)/g)].map(([, path]) => path!.slice(root.pathname.length));
  assert.ok(files.length > 50);
  const unexpected = files.filter((path) =>
    !/^(core|plugins)\/|^(main\.ts|deno\.json|LICENSE|README\.md)$/.test(path)
  );
  assert.deepEqual(unexpected, []);
});

/** The linter reports types of other packages as private. There is no option to prevent it. */
function concernsForeignType(finding: string): boolean {
  const [, type] = finding.match(/references private type '(\w+)'/) ?? [];
  const [, path] = finding.match(/--> (.+?):\d+:\d+/) ?? [];
  if (type === undefined || path === undefined) return false;
  const source = Deno.readTextFileSync(path);
  return new RegExp(`^import [^;]*\\b${type}\\b[^;]* from "[^.][^"]*";`, "m").test(source);
}

Deno.test("the README's first commands are tasks, with the pinned version of Deno", () => {
  const [block = ""] = Deno.readTextFileSync(new URL("README.md", root)).match(/(?<=^```sh\n)[^`]+/m) ?? [];
  const tasks = [...block.matchAll(/^npx -y deno@(\S+) task (\w+)/gm)];
  assert.deepEqual(tasks.map(([, , task]) => task), ["start", "test"]);
  for (const [, version = "", task = ""] of tasks) {
    assert(task in config.tasks);
    const pinned = Deno.readTextFileSync(new URL(".ci/run", root)).match(/^deno_version=(.+)$/m)?.[1];
    assert.equal(version, pinned, "the README and .ci/run name different versions of Deno");
  }
});

Deno.test("deno.lock has only what main.ts and the examples import, so that a start downloads nothing else", async () => {
  const output = async (program: string, args: string[]) =>
    new TextDecoder().decode((await new Deno.Command(program, { args, cwd: root }).output()).stdout);
  // The committed file: Deno adds packages to it when it runs a test without --lock=tests/deno.lock.
  const committed = await output("git", ["show", "HEAD:deno.lock"]).catch(() => "");
  const { npm } = JSON.parse(committed || Deno.readTextFileSync(new URL("deno.lock", root)));
  const examples = [...Deno.readDirSync(new URL("examples", root))].map(({ name }) => `examples/${name}`);
  const programs = ["main.ts", ...examples.filter((name) => name.endsWith(".ts"))];
  const entry = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(entry, programs.map((file) => `import "${new URL(file, root)}";\n`).join(""));
  const graph = await output(Deno.execPath(), ["info", "--json", "--config", "deno.json", entry]);
  await Deno.remove(entry);
  const names = (packages: object) => Object.keys(packages).map((name) => name.split("_")[0]!).sort();
  assert.deepEqual(names(npm), names(JSON.parse(graph).npmPackages));
  for (const specifier of Object.values(config.imports).filter((each) => each.startsWith("npm:"))) {
    const name = specifier.replace(/^npm:\/?/, "").replace(/\/$/, "");
    assert(names(npm).includes(name), `deno task start would download ${name}`);
  }
});

Deno.test("both lock files agree on what they share", () => {
  const { npm: ours } = JSON.parse(Deno.readTextFileSync(new URL("deno.lock", root)));
  const { npm: all } = JSON.parse(Deno.readTextFileSync(new URL("tests/deno.lock", root)));
  const known = new Set(Object.values<{ integrity: string }>(all).map(({ integrity }) => integrity));
  assert.deepEqual(Object.keys(ours).filter((name) => !known.has(ours[name].integrity)), []);
});
