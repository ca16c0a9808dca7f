/** Shared by scenarios that load a server and count deliveries. */

import type { DriveResult } from "../load/mod.ts";
import { startServer } from "../server_process.ts";
import type { Contender, Measurement, Tools } from "../types.ts";

/** The size of a payload, like a chat message. */
export const PAYLOAD_BYTES = 64;
const WARM_UP_SECONDS = 1;

/** The load: connections, senders and deliveries. */
export interface Traffic {
  readonly connections: number;
  readonly senders: number;
  readonly inFlight: number;
  readonly deliveries: number;
}

/** Starts a contender and loads it. Resolves to the figures of a delivery. */
export async function measureDrive(
  contender: Contender,
  { load, seconds }: Tools,
  dialogueName: string,
  { connections, ...traffic }: Traffic,
): Promise<Measurement> {
  const dialogue = contender.speaks[dialogueName]!;
  await using server = await startServer(contender);
  await load.open(server.port, dialogue, connections);
  const result = await load.drive({
    ...traffic,
    pid: server.pid,
    message: dialogue.message,
    payloadBytes: PAYLOAD_BYTES,
    warmUpSeconds: WARM_UP_SECONDS,
    seconds,
  });
  await load.close();
  const { delivered, p50, p99, p999 } = result;
  return {
    figures: {
      perSecond: delivered / result.seconds,
      cpuMicros: result.serverCpuSeconds * 1e6 / delivered,
      mainMicros: result.mainCpuSeconds * 1e6 / delivered,
      p50,
      p99,
      p999,
    },
    notes: notesOn(result),
  };
}

/** Returns notes on the reliability of a result. */
function notesOn({ seconds, lost, closed, ...cpu }: DriveResult): string[] {
  const load = cpu.loadCpuSeconds / seconds;
  const server = cpu.serverCpuSeconds / seconds;
  const others = cpu.otherCpuSeconds / seconds / navigator.hardwareConcurrency;
  const notes: string[] = [];
  if (load > 0.9 && server < 0.8) {
    notes.push("the load process was the bottleneck, not the server");
  }
  if (others > 0.25) notes.push("other programs used more than a quarter of the CPU time");
  if (lost > 0) notes.push(`${lost} deliveries lost`);
  if (closed > 0) notes.push(`${closed} connections closed`);
  return notes;
}
