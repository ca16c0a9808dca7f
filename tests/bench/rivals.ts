/** Other servers, installed from the npm registry by Deno. */

const PACKAGES: Readonly<Record<string, string>> = {
  [bunPackage()]: "1.4.5",
  ws: "8.23.0",
  "socket.io": "4.8.4",
  tinybase: "10.0.1",
};

/** The installed packages, removed at the end of the block. */
export interface Rivals extends AsyncDisposable {
  /** The folder with their `node_modules`. */
  readonly folder: string;
  /** The path of Bun. Its package contains the executable, so no install script has to run. */
  readonly bun: string;
}

/** Installs the packages in a temporary folder, from Deno's cache if possible. */
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
