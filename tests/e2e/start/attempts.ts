/** Attempts operations and prints those that succeed, to test the permissions of the server. */

const attempts: Record<string, () => unknown> = {
  "listen": () => Deno.listen({ port: 0, hostname: "127.0.0.1" }).close(),
  "read its settings": () => Deno.env.get("PORT"),
  "read its limits": () => Deno.env.get("LIMIT_MESSAGES"),
  "write to its folder": () => Deno.removeSync(Deno.makeTempFileSync({ dir: "data" })),
  "read a file of the machine": () => Deno.readTextFileSync("/etc/passwd"),
  "read the program": () => Deno.readTextFileSync("main.ts"),
  "leave its folder": () => Deno.readTextFileSync("data/../main.ts"),
  "link out of its folder": () => Deno.symlinkSync("/etc", `data/${crypto.randomUUID()}`),
  "write outside its folder": () => Deno.makeTempFileSync({ dir: "." }),
  "change its settings": () => Deno.writeTextFileSync(".env", ""),
  "read another variable": () => Deno.env.get("HOME"),
  "read the whole environment": () => Deno.env.toObject(),
  "run a program": () => new Deno.Command("true").outputSync(),
  "load a library": () => Deno.dlopen("libc.so.6", {}),
  "read the hostname": () => Deno.hostname(),
  "request a permission": () => {
    if (Deno.permissions.requestSync({ name: "run" }).state !== "granted") throw new Deno.errors.NotCapable();
  },
};

const succeeded = Object.entries(attempts).flatMap(([what, attempt]) => {
  try {
    attempt();
    return [what];
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) return [];
    throw new Error(`Unexpected error at: ${what}`, { cause: error });
  }
});
Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify(succeeded)));
