/** The folder that `build.sh` fills. */
export const FOLDER: string = Deno.env.get("PLUGBOARD_SDKS") ??
  `${Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME")}/.cache`}/plugboard/sdks`;

/** Returns the path of a program in this folder. */
export function source(path: string): string {
  return new URL(path, import.meta.url).pathname;
}

/** Whether there is a file or folder. */
export function exists(path: string): boolean {
  try {
    return Deno.statSync(path) !== undefined;
  } catch {
    return false;
  }
}
