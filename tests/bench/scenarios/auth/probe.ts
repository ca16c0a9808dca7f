/**
 * Measures the cost of sign-in and limits per message and prints the figures as JSON.
 *
 * The argument is `permission` or `limits`.
 */

import { getHeapStatistics } from "node:v8";
import type { Connection } from "../../../../core/mod.ts";
import { permissionsOf } from "../../../../plugins/auth/permissions.ts";
import { rateLimits } from "../../../../plugins/rate_limits.ts";
import type { Figures } from "../../types.ts";

const MESSAGES = 5_000_000;
const WARM_UP = 200_000;

/** The call to measure, with its number. */
type Call = (i: number) => void;

/** Checks the permission of a user to publish. */
function permission(): Call {
  const { can } = permissionsOf([
    "read:*",
    "write:chat:*",
    "write:orders:*:notes",
    "write:user-17",
    "query:*",
  ]);
  const channels = Array.from({ length: 100 }, (_, i) => `chat:room-${i}:${i % 7}`);
  return (i) => {
    if (!can("write", channels[i % 100]!)) throw new Error("The permission was denied");
  };
}

/** Counts a message for the connection and the user, below all limits. */
function limits(): Call {
  const boundless = "1000000000/1s";
  const all = {
    messages: boundless,
    messagesPerUser: boundless,
    bytes: boundless,
    bytesPerUser: boundless,
  } as const;
  const { message, open, api } = rateLimits({ limits: all });
  const conn = { id: crypto.randomUUID(), ip: "127.0.0.1", open: true } as Connection;
  open!(conn, { ip: "127.0.0.1" } as Parameters<NonNullable<typeof open>>[1]);
  api.signIns.signedIn(conn, "alice");
  const texts = ["a", "bc", "def", "ghij"];
  return (i) => {
    if (message!(conn, texts[i & 3]!)) throw new Error("A message was dropped");
  };
}

/** Returns the bytes allocated since the start, a counter of V8 that garbage collection does not decrease. */
function allocated(): number {
  return (getHeapStatistics() as unknown as { total_allocated_bytes: number }).total_allocated_bytes;
}

function measure(call: Call): Figures {
  for (let i = 0; i < WARM_UP; i++) call(i);
  const before = allocated();
  const began = performance.now();
  for (let i = 0; i < MESSAGES; i++) call(i);
  const micros = (performance.now() - began) * 1000;
  const bytes = allocated() - before;
  return { perSecond: MESSAGES / (micros / 1e6), cpuMicros: micros / MESSAGES, bytes: bytes / MESSAGES };
}

const figures = measure(Deno.args[0] === "limits" ? limits() : permission());
Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify(figures)));
