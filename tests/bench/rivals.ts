/** Other people's servers, from the npm registry; the bench needs nothing but Deno to get them. */

const PACKAGES: Readonly<Record<string, string>> = {
  [bunPackage()]: "1.4.5",
  ws: "8.23.0",
  "socket.io": "4.8.4",
  tinybase: "10.0.1",
};

/** Where the rivals are installed, until it is disposed of. */
export interface Rivals extends AsyncDisposable {
  /** The folder with their `node_modules`. */
  readonly folder: string;
  /** Bun's program. It lies ready in its package: no install script has to run. */
  readonly bun: string;
}

/** Installs them in a folder of their own; what was downloaded once comes from Deno's cache. */
export async function installRivals(): Promise<Rivals> {
  const folder = await Deno.makeTempDir({ prefix: "bench-rivals-" });
  const remove = () => Deno.remove(folder, { recursive: true });
  const write = (file: string, value: unknown) =>
    Deno.writeTextFile(`${folder}/${file}`, JSON.stringify(value));
  await write("package.json", { private: true, dependencies: PACKAGES });
  await write("deno.json", { nodeModulesDir: "manual" });
  const command = new Deno.Command(Deno.execPath(), { args: ["install", "--quiet"], cwd: folder });
  const { success, stderr } = await command.output();
  if (!success) {
    await remove();
    throw new Error(new TextDecoder().decode(stderr).trim());
  }
  return {
    folder,
    bun: `${folder}/node_modules/${bunPackage()}/bin/bun`,
    [Symbol.asyncDispose]: remove,
  };
}

function bunPackage(): string {
  return `@oven/bun-linux-${Deno.build.arch === "x86_64" ? "x64" : "aarch64"}`;
}
