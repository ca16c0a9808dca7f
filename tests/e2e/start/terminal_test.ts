/** What a person at a terminal sees; `script` is the terminal. */

import { root } from "../../kit/example.ts";
import { until } from "../../kit/mod.ts";
import { testWith } from "../../kit/programs.ts";

/** Runs a program at a terminal, waits for a line, presses Ctrl-C and waits for another line and the end. */
async function atTerminal(script: string, args: string[], opened: RegExp, stopped = ""): Promise<void> {
  const folder = await Deno.makeTempDir();
  const command = `exec ${[Deno.execPath(), ...args].map((arg) => `'${arg}'`).join(" ")}`;
  const env = { PORT: "0", DATA_DIR: folder, NO_COLOR: "1" };
  const streams = { stdin: "piped", stdout: "piped", stderr: "null" } as const;
  const child = new Deno.Command(script, {
    args: ["-qec", command, "/dev/null"],
    env,
    cwd: root,
    ...streams,
  }).spawn();
  let shown = "";
  const reading = (async () => {
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) shown += text;
  })();
  await until("the address", () => opened.test(shown), 20_000);
  const keyboard = child.stdin.getWriter();
  await keyboard.write(new TextEncoder().encode("\x03"));
  await until("the line of the stop", () => shown.includes(stopped), 20_000);
  await keyboard.close();
  await Promise.all([child.status, reading]);
  await Deno.remove(folder, { recursive: true });
}

const STOPPING = "Stopping. Press Ctrl-C again";
const REALTIME =
  /RealtimeServer is at http:\/\/127\.0\.0\.1:\d+\/, for WebSockets at ws:\S+:\d+\/ws\. Press Ctrl-C to stop/;

testWith("script", "B16 at a terminal, main.ts says what to open, and that it stops", async (script) => {
  const opened = /Open http:\/\/127\.0\.0\.1:\d+\/ in a browser\. Press Ctrl-C to stop/;
  await atTerminal(script, ["run", "--allow-all", "--no-check", "main.ts"], opened, STOPPING);
});

testWith(
  "script",
  "B16 at a terminal, a RealtimeServer says where it is, and that it stops",
  async (script) => {
    await atTerminal(
      script,
      ["run", "--allow-all", "--no-check", "examples/realtime.ts"],
      REALTIME,
      STOPPING,
    );
  },
);

testWith("script", "B16 at a terminal, createWebSocketServer says where clients connect", async (script) => {
  const code = `import { createWebSocketServer } from "@plugboard/server/websocket_server";
    createWebSocketServer({ port: 0, path: "/events" });`.replaceAll("\n", " ");
  const opened = /WebSocketServer is at ws:\/\/127\.0\.0\.1:\d+\/events\. Press Ctrl-C to stop/;
  await atTerminal(script, ["eval", code], opened);
});
