/**
 * Measures what statistics, and with `recorder` the flight recorder, add to a publication of a client, and prints it as
 * JSON. Two servers in one process take turns, since processes differ by more than what is measured.
 */

import process from "node:process";
import { Server } from "../../../../core/mod.ts";
import { channels } from "../../../../plugins/channels.ts";
import { centrifuge } from "../../../../plugins/protocols/centrifuge.ts";
import { stats } from "../../../../plugins/stats.ts";
import { trace } from "../../../../plugins/trace.ts";
import { PAYLOAD_BYTES } from "../drive.ts";

const ROUNDS = 31;
const PUBLISHES = 2_000;
const IN_FLIGHT = 16;

/** Starts a server and returns the CPU time of a publication in microseconds, with that of the client. */
async function publisher(...plugins: string[]): Promise<() => Promise<number>> {
  const server = new Server({ port: 0 });
  const bus = server.use(channels());
  if (plugins.includes("recorder")) {
    const recordFile = `${Deno.makeTempDirSync()}/recording.jsonl`;
    server.use(trace({ channels: bus, recordFile, alwaysRecord: true }));
  }
  if (plugins.includes("stats")) server.use(stats({ channels: bus }));
  server.use(centrifuge({ channels: bus }));
  await server.start();
  const socket = new WebSocket(`ws://127.0.0.1:${server.address.port}/connection/websocket`);
  await new Promise((resolve) => socket.onopen = resolve);
  socket.send('{"connect":{},"id":1}\n{"subscribe":{"channel":"room"},"id":2}');
  let id = 2;
  let missing = 0;
  let due = 0;
  let done = () => {};
  const publish = () => {
    due--;
    socket.send(`{"publish":{"channel":"room","data":"${"x".repeat(PAYLOAD_BYTES)}"},"id":${++id}}`);
  };
  socket.onmessage = ({ data }) => {
    if (data === "{}") socket.send("{}");
    const received = (data as string).split('"pub":').length - 1;
    for (let i = 0; i < received && due > 0; i++) publish();
    missing -= received;
    if (missing === 0) done();
  };
  return async () => {
    const before = process.cpuUsage();
    missing = due = PUBLISHES;
    const ended = new Promise<void>((resolve) => done = resolve);
    for (let i = 0; i < IN_FLIGHT; i++) publish();
    await ended;
    const { user, system } = process.cpuUsage(before);
    return (user + system) / PUBLISHES;
  };
}

const without = await publisher();
const having = await publisher("stats", ...Deno.args);
for (let i = 0; i < 5; i++) void await without(), await having();
const added: number[] = [];
for (let i = 0; i < ROUNDS; i++) {
  // Each is measured before and after the other.
  const first = await without();
  const one = await having();
  const other = await having();
  added.push((one + other - first - await without()) / 2);
}
added.sort((a, b) => a - b);
// deno-lint-ignore no-console -- the result of the program
console.log(JSON.stringify({ cpuMicros: added[ROUNDS >> 1] }));
Deno.exit();
