/**
 * The load process: reads a command per line and writes its result as a line.
 *
 * It is a separate process, so that its CPU time can be measured, with one thread that only waits for sockets.
 */

import { TextLineStream } from "./lines.ts";
import { drive } from "./drive.ts";
import type { Command, Reply } from "./mod.ts";
import { Swarm } from "./swarm.ts";

let swarm: Swarm | undefined;

function execute(command: Command): unknown {
  switch (command.do) {
    case "open": {
      swarm ??= new Swarm(command.dialogue);
      const began = performance.now();
      swarm.open(command.port, command.count);
      return { seconds: (performance.now() - began) / 1000 };
    }
    case "drive":
      return drive(swarm!, command.options);
    case "hold": {
      const end = performance.now() + command.seconds * 1000;
      while (performance.now() < end) swarm!.poll(50);
      return { closed: swarm!.closed };
    }
    case "close":
      swarm?.close();
      swarm = undefined;
      return {};
  }
}

function answer(line: string): Reply {
  try {
    return { result: execute(JSON.parse(line)) };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

const lines = Deno.stdin.readable.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
for await (const line of lines) {
  Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify(answer(line)) + "\n"));
}
