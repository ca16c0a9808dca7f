/** Helpers for tests: real servers, several clients, a clock, and waits without sleeps. */
export { Child } from "./child.ts";
export { Client, type ClientClosed } from "./client.ts";
export { FakeClock } from "./clock.ts";
export { RawClient } from "./raw_client.ts";
export { roundTrips } from "./round_trips.ts";
export { serve, started, type TestServer } from "./server.ts";
export { busyMs, cpuMs, Holds, least, longestHold, slowdown } from "./measure.ts";
export { freePort } from "./ports.ts";
export { offline, type OfflineServer } from "./offline.ts";
export { FakeTransport } from "./transport.ts";
export { DEADLINE_MS, Inbox, turn, until, within } from "./wait.ts";
