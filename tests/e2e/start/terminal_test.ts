/** What a person at a terminal sees; `script` is the terminal. */

import { root } from "../../kit/example.ts";
import { until } from "../../kit/mod.ts";
import { testWith } from "../../kit/programs.ts";

for (const program of ["main.ts", "examples/realtime.ts"]) {
  testWith("script", `B16 at a terminal, ${program} says what to open, and that it stops`, async (script) => {
    const folder = await Deno.makeTempDir();
    const command = `exec ${Deno.execPath()} run --allow-all --no-check ${program}`;
    const env = { PORT: "0", DATA_DIR: folder, NO_COLOR: "1" };
    const streams = { stdin: "piped", stdout: "piped", stderr: "null" } as const;
    const args = ["-qec", command, "/dev/null"];
    const child = new Deno.Command(script, { args, env, cwd: root, ...streams }).spawn();
    let shown = "";
    const reading = (async () => {
      for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) shown += text;
    })();
    await until("the address", () => /Open http:\/\/127\.0\.0\.1:\d+\/ in a browser/.test(shown), 20_000);
    const keyboard = child.stdin.getWriter();
    await keyboard.write(new TextEncoder().encode("\x03"));
    await until("the line of the stop", () => shown.includes("Stopping. Press Ctrl-C again"), 20_000);
    await keyboard.close();
    await Promise.all([child.status, reading]);
    await Deno.remove(folder, { recursive: true });
  });
}
