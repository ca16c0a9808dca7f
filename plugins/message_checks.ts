/**
 * Message checks: limits the size, the depth and the shape of payloads.
 *
 * ```ts
 * import { Server } from "@plugboard/server";
 * import { channels } from "@plugboard/server/channels";
 * import { messageChecks } from "@plugboard/server/message_checks";
 *
 * const server = new Server({ port: 0 });
 * const bus = server.use(channels({ namespaces: { chat: {} } }));
 * const checks = server.use(messageChecks({
 *   channels: bus,
 *   schemas: { chat: { type: "object", required: ["text"], properties: { text: { type: "string" } } } },
 * }));
 *
 * console.log(checks.validateMessage({ text: "hello" }, "chat:lobby"));
 * ```
 *
 * Valid payloads are relayed unchanged. Strings that a browser would run as script are valid by default, because it is
 * the page that must escape strings. An option refuses them.
 *
 * @module
 */

import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { built, checkOptions, messageOf, PlugboardError, type Plugin } from "../core/mod.ts";
import type { Channels } from "./channels.ts";
import { hasScript } from "./message_checks/script.ts";
import { Payload } from "./shared/payload.ts";

export { stripScript } from "./message_checks/script.ts";

/** Options of {@linkcode messageChecks}. */
export interface MessageChecksOptions {
  /** Checks the publications of clients. Without it, only the API checks messages. */
  channels?: Pick<Channels, "extend">;
  /** Maximum bytes of a payload, as JSON text. @default {65536} */
  maxBytes?: number;
  /** Maximum nesting of arrays and objects. @default {32} */
  maxDepth?: number;
  /** JSON Schema 2020-12 for the payloads of a namespace; `""` for channels without one. */
  schemas?: Record<string, Record<string, unknown> | boolean>;
  /** What happens to strings that a browser would run as script. @default {"relay"} */
  script?: "relay" | "refuse";
}

/** The checks, for other plugins and the app. */
export interface MessageChecks {
  /** Throws a `bad_request` with the reason if the message is invalid, also by the schema of the channel. */
  check(message: unknown, channel?: string): void;
  /** Whether the message is valid. */
  validateMessage(message: unknown, channel?: string): boolean;
}

/** Refuses payloads that are too large, too deep or of the wrong shape. */
export function messageChecks(options: MessageChecksOptions = {}): Plugin<MessageChecks> {
  const { channels, maxBytes = 65_536, maxDepth = 32, schemas, script = "relay" } = options;
  const check = checkOptions("message_checks");
  check.positiveInteger("maxBytes", maxBytes);
  check.positiveInteger("maxDepth", maxDepth);
  check.oneOf("script", script, ["relay", "refuse"]);
  const validators = compile(schemas ?? {});

  function checkPayload({ text, byteLength }: Payload, channel: string | undefined): void {
    if (byteLength > maxBytes) throw invalid(`more than ${maxBytes} bytes`);
    if (isDeeperThan(text, maxDepth)) throw invalid(`nested deeper than ${maxDepth} levels`);
    const validate = channel !== undefined && schemas ? validators.get(namespaceOf(channel)) : undefined;
    if (validate === undefined && script === "relay") return;
    const value: unknown = JSON.parse(text);
    if (validate?.(value) === false) throw invalid(reasonOf(validate));
    if (script === "refuse" && hasText(value, hasScript)) throw invalid("it contains script");
  }

  const api: MessageChecks = {
    check(message, channel) {
      let payload: Payload;
      try {
        payload = Payload.of(message);
      } catch (error) {
        throw invalid(messageOf(error));
      }
      checkPayload(payload, channel);
    },
    validateMessage(message, channel) {
      try {
        api.check(message, channel);
        return true;
      } catch (error) {
        if (error instanceof PlugboardError) return false;
        throw error;
      }
    },
  };

  let release: (() => void) | undefined;
  return built({
    name: "message_checks",
    api,
    start() {
      release = channels?.extend({
        name: "message_checks",
        beforePublish: ({ client, draft, channel }) => {
          if (client !== undefined) checkPayload(draft.payload, channel);
        },
      });
    },
    stop: () => release?.(),
  }, options);
}

function invalid(reason: string): PlugboardError {
  return new PlugboardError("bad_request", `Invalid message: ${reason}`);
}

/** Compiles the schemas into functions. A check then takes well under a microsecond. */
function compile(schemas: NonNullable<MessageChecksOptions["schemas"]>): Map<string, ValidateFunction> {
  return new Map(
    Object.entries(schemas).map(([namespace, schema]) => {
      try {
        return [namespace, new Ajv2020().compile(schema)];
      } catch (error) {
        throw new PlugboardError(
          "bad_option",
          `Cannot start message_checks: the schema of "${namespace}" is invalid: ${messageOf(error)}`,
        );
      }
    }),
  );
}

function reasonOf({ errors }: ValidateFunction): string {
  const { instancePath = "", message = "it does not match the schema" } = errors?.[0] ?? {};
  return `${instancePath || "it"} ${message}`;
}

/** The part of a channel's name before the first `:`, without the prefix of private channels. */
function namespaceOf(channel: string): string {
  return channel.match(/^\$?([^:]*):/)?.[1] ?? "";
}

/** Whether JSON text nests deeper than `limit`. It scans the text, so that deep values are never parsed. */
function isDeeperThan(json: string, limit: number): boolean {
  if (json.length <= 2 * limit) return false; // each level needs two characters
  let depth = 0;
  for (let i = 0; i < json.length; i++) {
    const char = json.charCodeAt(i);
    if (char === QUOTE) i = endOfString(json, i);
    else if (char === OPEN_ARRAY || char === OPEN_OBJECT) {
      if (++depth > limit) return true;
    } else if (char === CLOSE_ARRAY || char === CLOSE_OBJECT) depth--;
  }
  return false;
}

const [QUOTE, BACKSLASH, OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = [34, 92, 91, 93, 123, 125];

/** Returns the index of the closing quote of the string that begins at `start`. */
function endOfString(json: string, start: number): number {
  let i = start + 1;
  while (i < json.length && json.charCodeAt(i) !== QUOTE) i += json.charCodeAt(i) === BACKSLASH ? 2 : 1;
  return i;
}

/** Whether a string in the value, keys included, matches. */
function hasText(value: unknown, matches: (text: string) => boolean): boolean {
  if (typeof value === "string") return matches(value);
  if (typeof value !== "object" || value === null) return false;
  return Object.entries(value).some(([key, each]) => matches(key) || hasText(each, matches));
}
