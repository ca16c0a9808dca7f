import { messageOf, PlugboardError, setting } from "../../../../core/mod.ts";
import { argumentsOf, type Command } from "./command.ts";

/** How long a server may take to answer. */
const TIMEOUT_MS = 10_000;

/** Publishes through the API of a running server. */
export const publish: Command = {
  name: "publish",
  arguments: "CHANNEL JSON",
  help: "Publishes to a channel of a running server",
  flags: {
    URL: setting.optional("Where the server is; by default on this machine, at the port of the options"),
    KEY: setting.secret("An API key; by default PLUGBOARD_KEY of the environment"),
  },
  examples: [`publish news '{"title":"Hello"}'`, `publish news '"Hello"' --url https://example.com`],
  async run({ loaded: { settings }, words, flags, sources, print }) {
    const [channel, text] = argumentsOf(words, "CHANNEL", "JSON") as [string, string];
    try {
      JSON.parse(text);
    } catch {
      throw new PlugboardError(
        "bad_setting",
        `JSON must be a value such as '{"title":"Hello"}' or '"Hello"'`,
      );
    }
    const { port, host, adminPort, adminHost, tlsCert } = settings;
    const [at, on] = adminPort === undefined ? [host, port] : [adminHost, adminPort];
    const local = ["0.0.0.0", "::"].includes(at) ? "127.0.0.1" : at;
    const own = `${tlsCert ? "https" : "http"}://${local.includes(":") ? `[${local}]` : local}:${on}`;
    const url = flags.get("URL") ?? own;
    const key = flags.get("KEY") ?? sources.env("PLUGBOARD_KEY") ?? sources.dotEnv("PLUGBOARD_KEY");
    // The text is passed on as it is, with the digits of its numbers.
    const body = `{"channel":${JSON.stringify(channel)},"data":${text}}`;
    let answer: { result?: { offset?: number; epoch?: string }; error?: { message: string } };
    try {
      const response = await fetch(new URL("/api/publish", url), {
        method: "POST",
        body,
        headers: { "content-type": "application/json", ...(key !== undefined && { "x-api-key": key }) },
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      answer = await response.json();
    } catch (error) {
      throw new PlugboardError("unavailable", `No server answers at ${url}: ${messageOf(error)}`);
    }
    if (answer.error !== undefined) {
      throw new PlugboardError("refused", `The server refuses: ${answer.error.message}`);
    }
    print(JSON.stringify(answer.result));
  },
};
