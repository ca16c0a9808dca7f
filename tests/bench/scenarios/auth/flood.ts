/** Measures how long normal clients wait for replies while another client floods the server. */

import { connectAll } from "./connects.ts";
import { dataFrame } from "../../load/frames.ts";

const MODEST_CLIENTS = 20;
const EVERY_MS = 10;

/** Resolves to the sorted waits in microseconds. Another client sends `floodPerSecond` messages. */
export async function waitsDuring(
  port: number,
  floodPerSecond: number,
  seconds: number,
): Promise<readonly number[]> {
  const { sockets, close } = await connectAll(port, Array(MODEST_CLIENTS + 1).fill("/echo"));
  const [flooding, ...modest] = sockets;
  const waits: number[] = [];
  const end = performance.now() + seconds * 1_000;
  const drained = drain(flooding!);
  const flooded = flood(flooding!, floodPerSecond, end);
  await Promise.all(modest.map((socket) => converse(socket, end, waits)));
  await flooded;
  close();
  await drained;
  return waits.sort((a, b) => a - b);
}

/** Sends messages at a fixed interval and waits for each reply. */
async function converse(socket: Deno.TcpConn, end: number, waits: number[]): Promise<void> {
  const [frame, buffer] = [dataFrame("hello, how are you"), new Uint8Array(256)];
  await pause(Math.random() * EVERY_MS);
  while (performance.now() < end) {
    const sent = performance.now();
    await socket.write(frame);
    if (await socket.read(buffer) === null) throw new Error("A normal client was disconnected");
    const wait = performance.now() - sent;
    waits.push(wait * 1_000);
    await pause(Math.max(0, EVERY_MS - wait));
  }
}

async function flood(socket: Deno.TcpConn, perSecond: number, end: number): Promise<void> {
  if (perSecond === 0) return;
  const frame = dataFrame("more and more and more");
  const count = Math.round(perSecond * EVERY_MS / 1_000);
  const frames = new Uint8Array(frame.length * count);
  for (let i = 0; i < count; i++) frames.set(frame, i * frame.length);
  for (let next = performance.now(); next < end; next += EVERY_MS) {
    await socket.write(frames);
    await pause(Math.max(0, next + EVERY_MS - performance.now()));
  }
}

/** Reads and discards the replies. */
async function drain(socket: Deno.TcpConn): Promise<void> {
  const buffer = new Uint8Array(65_536);
  try {
    while (await socket.read(buffer) !== null);
  } catch { /* it was closed */ }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
