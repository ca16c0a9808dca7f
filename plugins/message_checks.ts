/**
 * Message checks: how large, how deep and of what shape a payload may be.
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
 * What passes is relayed unchanged. Strings that a browser would run as script are as good as any others here:
 * whoever shows them escapes them. An option refuses them nevertheless.
 *
 * @module
 */

import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { checkOptions, messageOf, PlugboardError, type Plugin } from "../core/mod.ts";
import type { Channels } from "./channels.ts";
import { hasScript } from "./message_checks/script.ts";

export { stripScript } from "./message_checks/script.ts";

/** Options of {@linkcode messageChecks}. */
export interface MessageChecksOptions {
  /** The channels whose clients' publications are checked. Without them, only what is handed in is. */
  channels?: Pick<Channels, "extend">;
  /** Bytes of a payload, as JSON text. @default {65536} */
  maxBytes?: number;
  /** Arrays and objects within one another. @default {32} */
  maxDepth?: number;
  /** JSON Schema 2020-12 of the payloads in a namespace; `""` for channels without one. */
  schemas?: Record<string, Record<string, unknown> | boolean>;
  /** What becomes of strings that a browser would run as script. @default {"relay"} */
  script?: "relay" | "refuse";
}

/** What message checks offer to other plugins and to the app. */
export interface MessageChecks {
  /** Throws a `bad_request` that says what is wrong with the payload; with a channel, its schema counts too. */
  check(message: unknown, channel?: string): void;
  /** The same without a throw. */
  validateMessage(message: unknown, channel?: string): boolean;
}

/** Refuses payloads that are too large, too deep or of the wrong shape. */
export function messageChecks(options: MessageChecksOptions = {}): Plugin<MessageChecks> {
  const { channels, maxBytes = 65_536, maxDepth = 32, schemas = {}, script = "relay" } = options;
  const check = checkOptions("message_checks");
  check.positiveInteger("maxBytes", maxBytes);
  check.positiveInteger("maxDepth", maxDepth);
  check.oneOf("script", script, ["relay", "refuse"]);
  const validators = compile(schemas);

  function checkJson(json: string, channel: string | undefined): void {
    if (exceeds(json, maxBytes)) throw unfit(`more than ${maxBytes} bytes`);
    if (deeperThan(json, maxDepth)) throw unfit(`nested deeper than ${maxDepth} levels`);
    const validate = channel === undefined ? undefined : validators.get(namespaceOf(channel));
    if (validate === undefined && script === "relay") return;
    const value: unknown = JSON.parse(json);
    if (validate?.(value) === false) throw unfit(reasonOf(validate));
    if (script === "refuse" && anyText(value, hasScript)) throw unfit("it contains script");
  }

  const api: MessageChecks = {
    check(message, channel) {
      let json: string | undefined;
      try {
        json = JSON.stringify(message);
      } catch (error) {
        throw unfit(messageOf(error));
      }
      if (json === undefined) throw unfit("it is undefined");
      checkJson(json, channel);
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
  return {
    name: "message_checks",
    api,
    start() {
      release = channels?.extend({
        name: "message_checks",
        beforePublish: ({ channel, draft: { payload }, client }) => {
          if (client !== undefined) checkJson(payload.text, channel);
        },
      });
    },
    stop: () => release?.(),
  };
}

function unfit(reason: string): PlugboardError {
  return new PlugboardError("bad_request", `Invalid message: ${reason}`);
}

/** Schemas become functions, once: a check on the publish path takes well under a microsecond. */
function compile(schemas: NonNullable<MessageChecksOptions["schemas"]>): Map<string, ValidateFunction> {
  return new Map(
    Object.entries(schemas).map(([namespace, schema]) => {
      try {
        return [namespace, new Ajv2020().compile(schema)];
      } catch (error) {
        throw new PlugboardError(
          "bad_option",
          `Cannot start message_checks: the schema of "${namespace}" is wrong: ${messageOf(error)}`,
        );
      }
    }),
  );
}

function reasonOf({ errors }: ValidateFunction): string {
  const { instancePath = "", message = "it does not fit its schema" } = errors?.[0] ?? {};
  return `${instancePath || "it"} ${message}`;
}

/** The part of a channel's name before the first `:`, without the mark of a private one. */
function namespaceOf(channel: string): string {
  const start = channel.startsWith("$") ? 1 : 0;
  const colon = channel.indexOf(":", start);
  return colon === -1 ? "" : channel.slice(start, colon);
}

/** Whether a text has more than `limit` bytes in UTF-8; most are so short that they need no count. */
function exceeds(text: string, limit: number): boolean {
  if (text.length > limit) return true;
  return text.length * 3 > limit && new TextEncoder().encode(text).length > limit;
}

/** Whether JSON text nests deeper than `limit`; looks at the text, so that nothing deep has to be parsed. */
function deeperThan(json: string, limit: number): boolean {
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

/** Where the string that begins here ends. */
function endOfString(json: string, start: number): number {
  let i = start + 1;
  while (i < json.length && json.charCodeAt(i) !== QUOTE) i += json.charCodeAt(i) === BACKSLASH ? 2 : 1;
  return i;
}

/** Whether one of the texts in a value, keys included, is such. */
function anyText(value: unknown, is: (text: string) => boolean): boolean {
  if (typeof value === "string") return is(value);
  if (typeof value !== "object" || value === null) return false;
  return Object.entries(value).some(([key, each]) => is(key) || anyText(each, is));
}
