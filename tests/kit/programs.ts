/** Installed programs that tests need: their possible names, first choice first. */
export const programs = {
  redis: ["redis-server"],
  chromium: ["chromium", "chromium-browser", "google-chrome"],
  nginx: ["nginx"],
  caddy: ["caddy"],
  cc: ["cc", "gcc", "clang"],
  systemd: ["systemd-analyze"],
  python: ["python3"],
  php: ["php"],
  curl: ["curl"],
  script: ["script"],
} as const satisfies Record<string, readonly string[]>;

/**
 * A test that needs an installed program, whose path it receives. Without the program the test is skipped
 * and its name says why. It fails if `PLUGBOARD_CI` is set.
 *
 * ```ts ignore
 * testWith("redis", "N01 two nodes share their channels", async (redisServer) => { … });
 * ```
 */
export function testWith(
  program: keyof typeof programs,
  name: string,
  run: (path: string) => void | Promise<void>,
): void {
  const names = programs[program];
  const path = findProgram(names);
  if (path !== undefined) Deno.test(name, () => run(path));
  else skip(`${names[0]} is not installed`, name);
}

/** Skips a test for a reason, which its name says. It fails if `PLUGBOARD_CI` is set. */
export function skip(reason: string, name: string): void {
  const mayBeSkipped = !Deno.env.get("PLUGBOARD_CI");
  Deno.test({
    name: mayBeSkipped ? `${name} (skipped: ${reason})` : name,
    ignore: mayBeSkipped,
    fn() {
      throw new Error(reason);
    },
  });
}

/** Returns the path of the first of these programs that is installed. */
export function findProgram(names: readonly string[]): string | undefined {
  const folders = Deno.env.get("PATH")?.split(":") ?? [];
  if (folders[0] !== "") folders.push("/usr/sbin"); // Servers are there. The PATH of some users lacks it.
  return names.flatMap((name) => folders.map((folder) => `${folder}/${name}`)).find(isFile);
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
