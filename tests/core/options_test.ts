import assert from "node:assert/strict";
import { Server, type ServerOptions } from "../../core/mod.ts";

const bad: [ServerOptions, string][] = [
  [{ port: 70_000 }, '"port" must be a port number or false, got 70000'],
  [{ port: -1 }, '"port" must be a port number or false, got -1'],
  [{ port: "8080" as never }, '"port" must be a port number or false, got "8080"'],
  [{ port: NaN }, '"port" must be a port number or false, got NaN'],
  [{ hostname: "" }, '"hostname" must be a non-empty string, got ""'],
  [{ maxConnections: 0 }, '"maxConnections" must be a positive integer, got 0'],
  [{ maxConnectionsPerIp: 1.5 }, '"maxConnectionsPerIp" must be a positive integer, got 1.5'],
  [{ maxMessageBytes: -5 }, '"maxMessageBytes" must be a positive integer, got -5'],
  [{ maxQueuedBytes: "1MB" as never }, '"maxQueuedBytes" must be a positive integer, got "1MB"'],
  [{ maxWaitingBytes: Infinity }, '"maxWaitingBytes" must be a positive integer, got Infinity'],
  [{ maxWaitingBytes: null as never }, '"maxWaitingBytes" must be a positive integer, got null'],
  [{ maxMemoryBytes: 0 }, '"maxMemoryBytes" must be a positive integer, got 0'],
  [{ maxMemoryBytes: "1GB" as never }, '"maxMemoryBytes" must be a positive integer, got "1GB"'],
  [{ pingIntervalMs: 0 }, '"pingIntervalMs" must be a positive integer, got 0'],
  [{ pingIntervalMs: 2 ** 31 }, '"pingIntervalMs" must be at most 24 days, got 2147483648'],
  [{ pongTimeoutMs: 25_000 }, '"pongTimeoutMs" must be shorter than the ping interval, got 25000'],
  [{ drainMs: -1 }, '"drainMs" must be zero or a positive integer, got -1'],
  [{ drainMs: 1e12 }, '"drainMs" must be at most 24 days, got 1000000000000'],
  [{ clientIp: "x-forwarded-for" as never }, '"clientIp" must be a function, got "x-forwarded-for"'],
  [{ tls: { certFile: "", keyFile: "key.pem" } }, '"tls.certFile" must be a non-empty string, got ""'],
  [{ tls: { certFile: "cert.pem" } as never }, '"tls.keyFile" must be a non-empty string, got undefined'],
  [{ listeners: { main: { port: 0 } } }, '"listeners" must be free of the name "main", got "main"'],
  [{ listeners: { a: { port: false } } } as never, '"listeners.a.port" must be a port number, got false'],
  [
    { listeners: { a: { port: 1, hostname: "" } } },
    '"listeners.a.hostname" must be a non-empty string, got ""',
  ],
];
for (const [options, sentence] of bad) {
  Deno.test(`bad options: ${JSON.stringify(options)}`, () => {
    assert.throws(() => new Server(options), {
      code: "bad_option",
      message: `Cannot start the server: ${sentence}`,
    });
  });
}
