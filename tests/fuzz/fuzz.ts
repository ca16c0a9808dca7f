/**
 * Sends random inputs to every socket and route of a server.
 *
 * @module
 */

import { RawClient } from "../kit/mod.ts";
import { changed, fill, messageFor, ROUTES, SOCKETS, type SocketTarget } from "./mutations.ts";
import type { Random } from "./random.ts";

/** Where to send inputs, and what was sent. */
export interface FuzzRun {
  readonly url: string;
  /** A token to present in half of the cases. */
  readonly token: string | undefined;
  /** Inputs still to send. */
  left: number;
  sent: number;
  /** What a server must not do: a status of 500, a request without an answer. */
  readonly faults: string[];
}

/** Messages one connection sends before it is replaced by a new one. */
const PER_CONNECTION = 40;

/** How long a server may take to open a connection or to answer a request. */
const ANSWER_MS = 20_000;

/** Sends messages over one connection after another until none is left. */
export async function fuzzSockets(run: FuzzRun, random: Random): Promise<void> {
  while (run.left > 0) {
    const target = random.pick(SOCKETS);
    await (random.chance(0.1) ? sendFrames(run, target, random) : sendMessages(run, target, random));
  }
}

async function sendMessages(run: FuzzRun, target: SocketTarget, random: Random): Promise<void> {
  const url = new URL(target.path, run.url.replace("http", "ws"));
  const token = run.token !== undefined && random.chance(0.5) ? run.token : undefined;
  if (token !== undefined) url.searchParams.set("token", token);
  const socket = new WebSocket(url, target.protocol ?? []);
  socket.onerror = (event) => event.preventDefault();
  const closed = new Promise<void>((resolve) => socket.onclose = () => resolve());
  const opened = new Promise<void>((resolve) => socket.onopen = () => resolve());
  await Promise.race([opened, closed]);
  if (target.path.startsWith("/connection") && random.chance(0.8)) {
    const connect = JSON.stringify({ id: 1, connect: { token } });
    if (socket.readyState === WebSocket.OPEN) socket.send(target.encode?.(connect) ?? connect);
  }
  for (let count = random.below(PER_CONNECTION); count > 0 && run.left > 0; count--) {
    if (socket.readyState !== WebSocket.OPEN) break;
    take(run);
    socket.send(messageFor(target, random));
    // Lets the server answer, and close, between messages.
    if (random.chance(0.2)) await new Promise((resolve) => setTimeout(resolve));
  }
  socket.close();
  await closed;
}

/** Sends frames that no WebSocket object would send. */
async function sendFrames(run: FuzzRun, target: SocketTarget, random: Random): Promise<void> {
  try {
    using client = await RawClient.upgrade(Number(new URL(run.url).port), target.path);
    for (let count = random.below(10); count > 0 && run.left > 0; count--) {
      take(run);
      const message = messageFor(target, random);
      if (random.chance(0.2)) await client.write(random.bytes(100));
      else await client.frame(random.pick([0, 1, 1, 1, 2, 3, 8, 9, 10, 15]), message, random.chance(0.8));
    }
  } catch {
    // The server refused the connection or ended it, which it may do.
  }
}

/** Sends requests until none is left. */
export async function fuzzRoutes(run: FuzzRun, random: Random): Promise<void> {
  while (run.left > 0) {
    const { path, bodies = [] } = random.pick(ROUTES);
    const method = random.pick([
      "GET",
      "GET",
      "POST",
      "POST",
      "POST",
      "PUT",
      "DELETE",
      "OPTIONS",
      "HEAD",
      "SOCKET",
    ]);
    const target = random.chance(0.1) ? changed(path, random) : fill(path, random);
    const url = URL.parse(encodeURI(target.toWellFormed()).replaceAll("%25", "%"), run.url);
    if (url?.origin !== run.url) continue;
    take(run);
    await request(run, url, method, bodies.length === 0 ? "{}" : fill(random.pick(bodies), random), random);
  }
}

async function request(run: FuzzRun, url: URL, method: string, body: string, random: Random): Promise<void> {
  const abort = new AbortController();
  const late = setTimeout(() => abort.abort(), ANSWER_MS);
  const headers: Record<string, string> = {};
  if (run.token !== undefined && random.chance(0.5)) headers.authorization = `Bearer ${run.token}`;
  if (random.chance(0.2)) headers["x-api-key"] = encodeURIComponent(random.text().toWellFormed());
  if (random.chance(0.2)) {
    headers["content-type"] = random.pick([
      "application/json",
      "application/octet-stream",
      "text/plain",
      "x",
    ]);
  }
  if (random.chance(0.1)) headers.origin = random.pick(["null", "http://evil.example", run.url, "x"]);
  const bare = method === "GET" || method === "HEAD";
  try {
    const response = await fetch(url, {
      method,
      headers,
      redirect: "manual",
      signal: abort.signal,
      ...(!bare && { body: random.chance(0.3) ? changed(body, random) : body }),
    });
    if (response.status === 500) run.faults.push(`500 for ${method} ${url.pathname}${url.search} ${body}`);
    // Streams do not end; the answer is all that counts.
    await response.body?.cancel();
  } catch (error) {
    if (abort.signal.aborted) {
      run.faults.push(`no answer to ${method} ${url.pathname} within ${ANSWER_MS} ms`);
    } else if (!(error instanceof TypeError)) throw error; // the server may end a connection
  } finally {
    clearTimeout(late);
  }
}

function take(run: FuzzRun): void {
  run.left--;
  run.sent++;
}
