/**
 * The walls: `core/` imports no plugin, a feature imports no protocol, plugins import each other as types only.
 * They keep every plugin removable and every protocol thin. The floors of `core/` do the same for the kernel: each
 * imports only floors below it, and no import circle exists.
 */

import assert from "node:assert/strict";

const root = new URL("../", import.meta.url);

/** The plugins that wire others, as `main.ts` does. Nothing imports them. */
const SERVERS = "plugins/servers/";

interface Import {
  /** Paths from the project's folder. */
  readonly from: string;
  readonly to: string;
  readonly typeOnly: boolean;
}

/** The floors of `core/`, the lowest first. */
const FLOORS = ["contract", "connections", "http", "server", "cli"].map((floor) => `core/${floor}/`);

/** Returns what is wrong with an import, if anything. */
function breach({ from, to, typeOnly }: Import): string | undefined {
  if (to.startsWith("core/") && from.startsWith("core/") && from !== "core/mod.ts") {
    return floorOf(to) <= floorOf(from) ? undefined : "a floor imports a higher one";
  }
  if (!to.startsWith("plugins/")) return;
  if (from.startsWith("core/")) return "core/ imports a plugin";
  const [plugin, other] = [pluginOf(from), pluginOf(to)];
  if (plugin === other || other === "plugins/shared") return;
  if (plugin === "plugins/shared") return "a shared helper imports a plugin";
  if (from.startsWith(SERVERS)) return;
  if (to.startsWith(SERVERS)) return "a plugin imports a server";
  if (isProtocol(other) && !isProtocol(plugin)) return "a feature imports a protocol";
  if (!typeOnly) return "a plugin imports another one as a value";
}

/** Files outside of the floors are above them all. */
function floorOf(path: string): number {
  const floor = FLOORS.findIndex((folder) => path.startsWith(folder));
  return floor === -1 ? FLOORS.length : floor;
}

/** Returns the files of an import circle, if there is one. */
function circleIn(imports: readonly Import[]): string[] | undefined {
  const done = new Set<string>();
  const visit = (file: string, path: string[]): string[] | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return;
    for (const { from, to } of imports) {
      const circle = from === file ? visit(to, [...path, file]) : undefined;
      if (circle !== undefined) return circle;
    }
    done.add(file);
  };
  for (const { from } of imports) {
    const circle = visit(from, []);
    if (circle !== undefined) return circle;
  }
}

/** `plugins/channels.ts` and all in `plugins/channels/` are the plugin `plugins/channels`. */
function pluginOf(path: string): string {
  return path.match(/^plugins\/(?:protocols\/|servers\/)?[^/.]+/)?.[0] ?? path;
}

function isProtocol(plugin: string): boolean {
  return plugin.startsWith("plugins/protocols/");
}

/** All imports of these folders, as the runtime reads them. */
async function importsOf(folders: readonly string[]): Promise<Import[]> {
  // One module imports all files, so that one call returns all imports.
  const entry = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    const files = folders.flatMap((folder) => sourcesIn(new URL(`${folder}/`, root)));
    await Deno.writeTextFile(entry, files.map((file) => `import "${file}";\n`).join(""));
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["info", "--json", "--config", "deno.json", "--lock=tests/deno.lock", entry],
      cwd: root,
      env: { NO_COLOR: "1" },
    }).output();
    return parse(JSON.parse(new TextDecoder().decode(stdout)));
  } finally {
    await Deno.remove(entry);
  }
}

interface Graph {
  readonly modules: readonly {
    readonly specifier: string;
    readonly dependencies?: readonly {
      readonly code?: { readonly specifier?: string };
      readonly type?: { readonly specifier?: string };
    }[];
  }[];
}

function parse({ modules }: Graph): Import[] {
  return modules.filter(({ specifier }) => specifier.startsWith(root.href)).flatMap(
    ({ specifier, dependencies = [] }) =>
      dependencies.map(({ code, type }) => ({
        from: specifier.slice(root.href.length),
        to: (code?.specifier ?? type?.specifier ?? "").replace(root.href, ""),
        typeOnly: code === undefined,
      })),
  );
}

function sourcesIn(folder: URL): string[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) =>
    isDirectory
      ? sourcesIn(new URL(`${name}/`, folder))
      : name.endsWith(".ts")
      ? [new URL(name, folder).href]
      : []
  );
}

Deno.test("no import breaks a wall or a floor", async () => {
  const imports = await importsOf(["core", "plugins"]);
  assert(imports.some(({ from }) => from.startsWith("core/")), "the imports were not found");
  const breaches = imports.flatMap((found) => {
    const what = breach(found);
    return what === undefined ? [] : `${found.from} → ${found.to}: ${what}`;
  });
  assert.deepEqual(breaches, []);
});

Deno.test("core has no import circle, not even of types", async () => {
  const inCore = (path: string) => path.startsWith("core/");
  const imports = (await importsOf(["core"])).filter(({ from, to }) => inCore(from) && inCore(to));
  assert.equal(circleIn(imports), undefined);
  const edge = (from: string, to: string): Import => ({ from, to, typeOnly: true });
  assert.deepEqual(circleIn([edge("x", "a"), edge("a", "b"), edge("b", "c"), edge("c", "a")]), [
    "a",
    "b",
    "c",
    "a",
  ]);
});

Deno.test("the walls refuse forbidden imports only", () => {
  const code = (from: string, to: string) => breach({ from, to, typeOnly: false });
  const type = (from: string, to: string) => breach({ from, to, typeOnly: true });

  assert.match(code("core/server/server.ts", "plugins/health.ts")!, /^core/);
  assert.match(type("core/server/server.ts", "plugins/channels/types.ts")!, /^core/);
  assert.match(type("core/contract/plugin.ts", "core/connections/outbox.ts")!, /^a floor/);
  assert.match(type("core/http/gate.ts", "core/server/hooks.ts")!, /^a floor/);
  assert.match(code("core/cli/run.ts", "core/mod.ts")!, /^a floor/);
  assert.match(code("plugins/presence.ts", "plugins/protocols/json.ts")!, /^a feature imports a protocol/);
  assert.match(type("plugins/channels/hub.ts", "plugins/protocols/json/frames.ts")!, /^a feature/);
  assert.match(code("plugins/presence.ts", "plugins/channels.ts")!, /as a value/);
  assert.match(code("plugins/presence.ts", "plugins/channels/types.ts")!, /as a value/);
  assert.match(code("plugins/protocols/hub.ts", "plugins/protocols/json.ts")!, /as a value/);
  assert.match(code("plugins/shared/identity.ts", "plugins/auth.ts")!, /^a shared helper/);
  assert.match(type("plugins/stats.ts", "plugins/servers/realtime_server.ts")!, /imports a server/);

  assert.equal(code("core/http/gate.ts", "core/connections/outbox.ts"), undefined);
  assert.equal(code("core/http/gate.ts", "core/http/tally.ts"), undefined);
  assert.equal(code("core/mod.ts", "core/cli/run.ts"), undefined);
  assert.equal(type("plugins/presence.ts", "plugins/channels.ts"), undefined);
  assert.equal(type("plugins/protocols/json.ts", "plugins/rpc.ts"), undefined);
  assert.equal(code("plugins/channels.ts", "plugins/channels/hub.ts"), undefined);
  assert.equal(code("plugins/channels/hub.ts", "plugins/channels/client.ts"), undefined);
  assert.equal(code("plugins/protocols/json.ts", "plugins/shared/identity.ts"), undefined);
  assert.equal(code("plugins/protocols/json.ts", "core/mod.ts"), undefined);
  assert.equal(code("plugins/servers/realtime_server.ts", "plugins/protocols/json.ts"), undefined);
  assert.equal(code("plugins/servers/realtime_server/config.ts", "plugins/auth.ts"), undefined);
});
