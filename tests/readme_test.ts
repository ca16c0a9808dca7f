/** Checks that the READMEs are complete and correct. Their snippets run in `tests/e2e`. */

import assert from "node:assert/strict";
import config from "../deno.json" with { type: "json" };
import { auth } from "../plugins/auth.ts";
import { channels } from "../plugins/channels.ts";
import { liveQueries } from "../plugins/live_queries.ts";
import { persistence } from "../plugins/persistence.ts";
import { proxies } from "../plugins/proxies.ts";
import { webhooks } from "../plugins/webhooks.ts";
import { rateLimits } from "../plugins/rate_limits.ts";
import { options } from "../plugins/servers/configured/flags.ts";
import { type MetricsRegistry, metricsRegistry, stats } from "../plugins/stats.ts";
import { workers } from "../plugins/workers.ts";
import { deno, root } from "./kit/example.ts";
import { REFERENCE, reference } from "./kit/reference.ts";
import { parsePrometheus } from "./kit/prometheus.ts";
import { readmes, section, snippets } from "./kit/readme.ts";

const exists = (path: string | URL) => {
  try {
    return Deno.statSync(new URL(path, root)) !== undefined;
  } catch {
    return false;
  }
};
const read = (path: string) => Deno.readTextFileSync(new URL(path, root));

/** Asserts that the text contains every name as code. */
function assertNames(text: string, names: Iterable<string>): void {
  const missing = [...names].filter((name) => !text.includes(`\`${name}`));
  assert.deepEqual(missing, []);
}

/** Returns the members of an interface and the documented defaults. */
function membersOf(source: string, name: string): { member: string; fallback: string | undefined }[] {
  const [, body] = source.match(new RegExp(`^export interface ${name}\\b[^{]*\\{\n(.*?)^\\}`, "ms")) ?? [];
  assert(body !== undefined, `no interface ${name}`);
  return [...body.matchAll(/(?:^ {2}\/\*\*(.*?)\*\/\n)?^ {2}(?:readonly )?(\w+)\??[:(]/gms)].map((
    [, doc, member],
  ) => ({
    member: member!,
    fallback: doc?.match(/@default \{([\d.]+)\}/)?.[1],
  }));
}

/** What a README says outside of its code blocks. */
const prose = (text: string) => text.replaceAll(/^```.*?^```/gms, "");

/** The anchors of a README's headings. */
function anchorsOf(text: string): Set<string> {
  return new Set(
    [...prose(text).matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
      heading!.toLowerCase().replaceAll(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-")
    ),
  );
}

for (const [path, text] of readmes) {
  Deno.test(`the links of ${path} are valid`, () => {
    for (const [, link] of prose(text).matchAll(/\]\(([^)]+)\)/g)) {
      if (/^https?:/.test(link!)) {
        assert.doesNotThrow(() => new URL(link!));
        continue;
      }
      const { pathname, hash } = new URL(link!, new URL(path, root));
      assert(Deno.statSync(pathname), link);
      if (hash === "") continue;
      assert(anchorsOf(Deno.readTextFileSync(pathname)).has(hash.slice(1)), `no heading for ${link}`);
    }
  });

  Deno.test(`the commands, files and packages of ${path} exist`, () => {
    for (const [, task] of text.matchAll(/deno(?:@\S+)? task (\w+)/g)) assert(task! in config.tasks, task);
    for (const [named] of text.matchAll(/(?<![\w./])(?:examples|core|plugins|tests)\/[\w/.]+\w/g)) {
      assert(exists(named) || exists(new URL(named, new URL(path, root))), named);
    }
    const pinned: string[] = Object.values(config.imports);
    for (const [found, , name] of text.matchAll(/npm:((@?[\w-]+)@[\d.]+\d)/g)) {
      assert(pinned.includes(found), `${found} is not the version that ${name} is pinned to`);
    }
  });
}

Deno.test("every README can be reached from the first", () => {
  const found = new Set(["README.md"]);
  for (const path of found) {
    for (const [, link] of readmes.get(path)!.matchAll(/\]\(([^)#]+README\.md)/g)) {
      found.add(new URL(link!, new URL(path, root)).pathname.slice(root.pathname.length));
    }
  }
  assert.deepEqual([...readmes.keys()].filter((path) => !found.has(path)), []);
});

Deno.test("the README names every dependency, and says what it is for", () => {
  const used = Object.values(config.imports).map((found) => {
    const source = found.startsWith("npm:") ? found : read(found); // those of tests are modules of tests/kit/packages
    return source.match(/npm:\/?(@?[^@]+)@/)![1]!;
  });
  assertNames(section("Dependencies"), used);
});

Deno.test("the README names every setting, and every limit with its default", async () => {
  const { stdout } = await deno(["run", "-P", "main.ts", "--help"]).output();
  const help = new TextDecoder().decode(stdout);
  const names = [...help.matchAll(/^([A-Z_]+) +--/gm)].map(([, name]) => name!);
  const commands = ["HELP", "PRINT_CONFIG"];
  assert(names.length > 30);
  assertNames(section("Settings"), names.filter((name) => !commands.includes(name)));
  for (const [name, { setting: { fallback } }] of options) {
    if (!name.startsWith("LIMIT_")) continue;
    const row = section("Settings").split("\n").find((line) => line.includes(`\`${name}\``));
    assert(row?.includes(String(fallback)), `the default of ${name} is ${fallback}`);
  }
});

Deno.test("the README names every hook", () => {
  const text = section("A plugin in twenty lines");
  assertNames(text, membersOf(read("core/contract/plugin.ts"), "Hooks").map(({ member }) => member));
  const hooks = membersOf(read("plugins/channels/extensions.ts"), "ChannelExtension");
  assertNames(text, hooks.map(({ member }) => member).filter((member) => member !== "name"));
});

Deno.test("the README names every plugin, and links to its options", () => {
  const rows = section("Plugins and their options").split("\n");
  const described = new Set([...reference().matchAll(/^## (\w+)$/gm)].map(([, name]) => name));
  for (const name of Object.keys(config.exports).filter((name) => /^\.\/\w+$/.test(name))) {
    const plugin = name.slice(2);
    const cell = described.has(plugin) ? `[\`${plugin}\`](REFERENCE.md#${plugin})` : `\`${plugin}\``;
    assert(rows.some((line) => line.startsWith(`| ${cell} |`)), `no row for ${name}`);
  }
});

Deno.test("the page of options and services is what `deno task docs` writes from the code", () => {
  const page = reference();
  assert.equal(Deno.readTextFileSync(REFERENCE), page, "run: deno task docs");
  for (const name of ["channels", "auth", "live_queries", "persistence", "websocket_server", "hub"]) {
    const [, below = ""] = page.split(`\n## ${name}\n`);
    assert.match(below.split("\n## ")[0]!, /^\| \*{0,2}`\w+`\*{0,2} \| `.+` \| .* \| .+ \|$/m, name);
  }
  for (
    const line of [
      "| `maxChannelsPerClient` | `number` | `128` |",
      "| **`channels`** |",
      "### AppUser",
      "### Method",
    ]
  ) {
    assert(page.includes(line), line);
  }
  assert.match(page, /^\| `publish\(channel: string, data: unknown, options\?: PublishOptions\)/m);
  assert.doesNotMatch(page, /\{@|\| \|$/m, "a member without documentation");
});

Deno.test("the README names every close code", () => {
  const codes = new Set<string>();
  for (const path of sources("core/", "plugins/")) {
    for (const [, code] of read(path).matchAll(/(?<!\* .*)closeCode\((\d{4}),/g)) codes.add(code!);
  }
  const missing = [...codes].filter((code) =>
    !new RegExp(`^\\|.*\\b${code}\\b.*\\|`, "m").test(section("Codes"))
  );
  assert.deepEqual(missing, []);
});

Deno.test("the README names every metric", () => {
  const names = new Set<string>();
  for (const path of sources("plugins/")) {
    for (
      const [name] of read(path).matchAll(/\b(?:plugboard|process)_[a-z_]+(?:_total|_seconds|_bytes)\b/g)
    ) {
      names.add(name);
    }
  }
  assert(names.size > 15);
  const text = section("Metrics");
  assert.deepEqual([...names].filter((name) => !text.includes(`\`${name}\``)), []);
});

Deno.test("the README has the type and labels of every metric", () => {
  const labelsOf = new Map<string, readonly string[]>();
  const registry = metricsRegistry();
  const metrics: MetricsRegistry = {
    ...registry,
    counter(name, help, labels = []) {
      labelsOf.set(name, labels);
      return registry.counter(name, help, labels);
    },
    gauge(name, help, read, labels = []) {
      labelsOf.set(name, labels);
      registry.gauge(name, help, read, labels);
    },
    histogram(name, help, bounds, labels = []) {
      labelsOf.set(name, labels);
      return registry.histogram(name, help, bounds, labels);
    },
  };
  const bus = channels().api;
  stats({ channels: bus, metrics });
  liveQueries({ channels: bus, metrics });
  persistence({ path: ":memory:", metrics });
  auth({ metrics });
  rateLimits({ metrics });
  proxies({ metrics });
  webhooks({ receivers: [], metrics });
  workers({ metrics });
  const { types } = parsePrometheus(registry.render());
  const code = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name!);
  const rows = section("Metrics").split("\n").map((line) => line.split("|").map((cell) => cell.trim()));
  const listed = rows.flatMap(([, names = "", type = "", labels = ""]) =>
    code(names).map((name) => ({ name, names: code(names), type, labels: code(labels) }))
  );
  assert.deepEqual(listed.map(({ name }) => name).sort(), [...labelsOf.keys()].sort());
  for (const { name, names, type, labels } of listed) {
    assert.equal(type, types.get(name), name);
    assert.deepEqual(labels, [...new Set(names.flatMap((each) => labelsOf.get(each)!))], name);
  }
});

Deno.test("the README's snippets have a known language", () => {
  const languages = new Set(snippets().map(({ language }) => language));
  assert.deepEqual([...languages].sort(), ["", "jsonc", "php", "python", "sh", "ts ignore", "tsx ignore"]);
});

function sources(...folders: string[]): string[] {
  return folders.flatMap((folder) =>
    filesIn(new URL(folder, root)).flatMap(({ name, isDirectory }) =>
      isDirectory ? sources(`${folder}${name}/`) : name.endsWith(".ts") ? [folder + name] : []
    )
  );
}

function filesIn(folder: URL): Deno.DirEntry[] {
  try {
    return [...Deno.readDirSync(folder)];
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return []; // a plugin without a folder
    throw error;
  }
}
