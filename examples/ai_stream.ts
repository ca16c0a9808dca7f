/**
 * An answer of a language model, token by token. It survives a reload of the page and a lost connection, several tabs see
 * the same, and it can be stopped.
 *
 *     deno run --allow-net --allow-env examples/ai_stream.ts
 *
 * Open http://127.0.0.1:8089, ask something, and reload while the answer is being written. Each answer is a channel with a
 * history, and the page recovers from its beginning. The model is a stand-in: put yours into `tokensOf`.
 */

import { loadSettings, run, Server, setting } from "@plugboard/server";
import { centrifuge } from "@plugboard/server/centrifuge";
import { channels } from "@plugboard/server/channels";
import { logging } from "@plugboard/server/logging";
import { rateLimits } from "@plugboard/server/rate_limits";
import { rpc, RpcError } from "@plugboard/server/rpc";
import sdk from "centrifuge" with { type: "text" };
import page from "./ai_stream.html" with { type: "text" };
import { look } from "./look/look.ts";

const { PORT, TOKEN_MS } = loadSettings({
  PORT: setting.integer(8089, "Port to listen on"),
  TOKEN_MS: setting.integer(60, "Milliseconds that the stand-in takes for a token"),
});
const MAX_ANSWERS = 100;

const server = new Server({ port: PORT });
server.use(logging());
server.use(look);
const limits = server.use(rateLimits());
const bus = server.use(channels({
  limits,
  namespaces: {
    // The name of an answer's channel cannot be guessed, so all who know it may read it.
    answer: {
      subscribe: "anyone",
      publish: "nobody",
      recovery: "always",
      historySize: 5_000,
      recoveryLimit: 5_000,
      historyMs: 3_600_000,
    },
  },
}));
const methods = server.use(rpc({ limits }));
server.use(centrifuge({ channels: bus, rpc: methods, limits }));

/** The answers that are being written, by channel. */
const writing = new Map<string, AbortController>();

methods.define("ask", {
  args(value) {
    const { question } = (value ?? {}) as { question?: unknown };
    if (typeof question === "string" && question.trim() !== "" && question.length <= 1_000) {
      return { question };
    }
    throw new RpcError(400, "A question has 1 to 1000 letters");
  },
  async run({ question }) {
    if (writing.size >= MAX_ANSWERS) throw new RpcError(503, "Too many answers are being written");
    const channel = `answer:${crypto.randomUUID()}`;
    const stop = new AbortController();
    writing.set(channel, stop); // before anything is awaited, so that questions at the same time count
    try {
      await bus.publish(channel, { question });
    } catch (error) {
      writing.delete(channel);
      throw error;
    }
    void write(channel, question, stop.signal);
    return { channel };
  },
});
methods.define("stop", {
  args(value) {
    const { channel } = (value ?? {}) as { channel?: unknown };
    if (typeof channel === "string") return { channel };
    throw new RpcError(400, "The channel of an answer must be given");
  },
  run: ({ channel }) => writing.get(channel)?.abort(),
});

/** Publishes the tokens as they come, even if no page reads them. */
async function write(channel: string, question: string, signal: AbortSignal): Promise<void> {
  let end = "done";
  try {
    for await (const text of tokensOf(question, signal)) await bus.publish(channel, { text });
  } catch {
    end = signal.aborted ? "stopped" : "failed";
  }
  writing.delete(channel);
  await bus.publish(channel, { end });
}

/** The stand-in for a model. A real one is an HTTP request whose answer is a stream; give it the signal. */
async function* tokensOf(question: string, signal: AbortSignal): AsyncGenerator<string> {
  const answer = `You asked: “${question}”. ` +
    "This answer is written by the server, one token after the other, and kept in the history of its channel. "
      .repeat(4);
  for (const token of answer.match(/\S+\s*/g) ?? []) {
    await new Promise((resolve) => setTimeout(resolve, TOKEN_MS));
    signal.throwIfAborted();
    yield token;
  }
}

server.use({
  name: "page",
  routes(app) {
    app.get("/", (c) => c.html(page));
    app.get("/centrifuge.js", (c) => c.body(sdk, 200, { "content-type": "text/javascript; charset=utf-8" }));
  },
});

await run(server);
