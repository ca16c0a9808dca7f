/**
 * The three walls: `core/` imports no plugin, a feature imports no protocol, plugins import each other as types only.
 * They keep every plugin removable and every protocol thin.
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

/** Tells what is wrong with an import, if anything. */
function breach({ from, to, typeOnly }: Import): string | undefined {
  if (!to.startsWith("plugins/")) return;
  if (from.startsWith("core/")) return "core/ imports a plugin";
  const [plugin, other] = [pluginOf(from), pluginOf(to)];
  if (plugin === other || other === "plugins/shared") return;
  if (plugin === "plugins/shared") return "a shared helper imports a plugin";
  if (from.startsWith(SERVERS)) return;
  if (to.startsWith(SERVERS)) return "a plugin imports a server";
  if (isProtocol(other) && !isProtocol(plugin)) return "a feature imports a protocol";
  if (!typeOnly) return "a plugin imports another one, and not as a type only";
}

/** `plugins/channels.ts` and all in `plugins/channels/` are the plugin `plugins/channels`. */
function pluginOf(path: string): string {
  return path.match(/^plugins\/(?:protocols\/|servers\/)?[^/.]+/)?.[0] ?? path;
}

function isProtocol(plugin: string): boolean {
  return plugin.startsWith("plugins/protocols/");
}

/** All imports in `core/` and `plugins/`, as the runtime itself reads them. */
async function importsOf(folders: readonly string[]): Promise<Import[]> {
  // One module that imports every file, so that one call tells everything.
  const entry = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    const files = folders.flatMap((folder) => sourcesIn(new URL(`${folder}/`, root)));
    await Deno.writeTextFile(entry, files.map((file) => `import "${file}";\n`).join(""));
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["info", "--json", "--config", new URL("deno.json", root).pathname, entry],
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

Deno.test("no import goes through a wall", async () => {
  const imports = await importsOf(["core", "plugins"]);
  assert(imports.some(({ from }) => from.startsWith("core/")), "the imports were not found");
  const breaches = imports.flatMap((found) => {
    const what = breach(found);
    return what === undefined ? [] : `${found.from} → ${found.to}: ${what}`;
  });
  assert.deepEqual(breaches, []);
});

Deno.test("a wall stops what it is there for, and nothing else", () => {
  const code = (from: string, to: string) => breach({ from, to, typeOnly: false });
  const type = (from: string, to: string) => breach({ from, to, typeOnly: true });

  assert.match(code("core/server.ts", "plugins/health.ts")!, /^core/);
  assert.match(type("core/server.ts", "plugins/channels/types.ts")!, /^core/);
  assert.match(code("plugins/presence.ts", "plugins/protocols/json.ts")!, /^a feature imports a protocol/);
  assert.match(type("plugins/channels/hub.ts", "plugins/protocols/json/frames.ts")!, /^a feature/);
  assert.match(code("plugins/presence.ts", "plugins/channels.ts")!, /not as a type/);
  assert.match(code("plugins/presence.ts", "plugins/channels/types.ts")!, /not as a type/);
  assert.match(code("plugins/protocols/hub.ts", "plugins/protocols/json.ts")!, /not as a type/);
  assert.match(code("plugins/shared/identity.ts", "plugins/auth.ts")!, /^a shared helper/);
  assert.match(type("plugins/stats.ts", "plugins/servers/realtime_server.ts")!, /imports a server/);

  assert.equal(type("plugins/presence.ts", "plugins/channels.ts"), undefined);
  assert.equal(type("plugins/protocols/json.ts", "plugins/rpc.ts"), undefined);
  assert.equal(code("plugins/channels.ts", "plugins/channels/hub.ts"), undefined);
  assert.equal(code("plugins/channels/hub.ts", "plugins/channels/client.ts"), undefined);
  assert.equal(code("plugins/protocols/json.ts", "plugins/shared/identity.ts"), undefined);
  assert.equal(code("plugins/protocols/json.ts", "core/mod.ts"), undefined);
  assert.equal(code("plugins/servers/realtime_server.ts", "plugins/protocols/json.ts"), undefined);
  assert.equal(code("plugins/servers/realtime_server/config.ts", "plugins/auth.ts"), undefined);
});
