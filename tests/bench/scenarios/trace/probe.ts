/** Measures a traced call and prints the figures as JSON. */

import { Server } from "../../../../core/mod.ts";
import { trace, type TraceOptions } from "../../../../plugins/trace.ts";

const WARM_UP = 20_000;

class Rooms {
  #said = 0;
  say(room: string, message: { user: string; text: string }): number {
    return this.#said += room.length + message.text.length;
  }
}

/** Returns the nanoseconds per call. */
function time(service: Rooms, calls: number): number {
  const message = { user: "Alice", text: "Hello everyone!" };
  const began = performance.now();
  for (let i = 0; i < calls; i++) service.say("general", message);
  return (performance.now() - began) * 1e6 / calls;
}

async function traced(
  options: TraceOptions,
): Promise<{ service: Rooms; plain: Rooms; end(): Promise<void> }> {
  const server = new Server({ port: false });
  const { traced } = server.use(trace(options));
  const plain = new Rooms();
  const service = traced("Rooms", plain);
  await server.start();
  return { service, plain, end: () => server.stop() };
}

/** Measures calls without output against untraced calls; the median of many rounds. */
async function off(): Promise<object> {
  const { service, plain, end } = await traced({});
  const calls = 2_000_000;
  time(plain, WARM_UP);
  time(service, WARM_UP);
  const ratios = Array.from({ length: 21 }, (_, turn) => {
    const first = time(turn % 2 === 0 ? service : plain, calls);
    const second = time(turn % 2 === 0 ? plain : service, calls);
    return turn % 2 === 0 ? first / second : second / first;
  });
  await end();
  return { times: ratios.sort((a, b) => a - b)[10] };
}

/** Measures calls that are traced into a file. */
async function on(): Promise<object> {
  const folder = await Deno.makeTempDir();
  const { service, end } = await traced({ output: { file: `${folder}/trace.jsonl` } });
  time(service, WARM_UP);
  const nanos = time(service, 100_000);
  await end();
  await Deno.remove(folder, { recursive: true });
  return { cpuMicros: nanos / 1_000, perSecond: 1e9 / nanos };
}

const figures = Deno.args[0] === "on" ? await on() : await off();
Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify(figures)));
