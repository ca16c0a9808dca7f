/**
 * The method that runs several commands in one request.
 *
 * @module
 */

import type { MaybePromise } from "../../core/mod.ts";
import { itemTexts, memberText } from "../shared/json_text.ts";
import { isRecord } from "../shared/records.ts";
import { shownName } from "../shared/shown_name.ts";
import { inSlices } from "../shared/slices.ts";
import { run } from "./calls.ts";
import { type ApiError, apiError, internalError } from "./errors.ts";
import { type Call, compatible, type Method, type Methods } from "./types.ts";

/** What a command needs. */
export interface CommandParts {
  readonly methods: Methods;
  failed(what: string, error: unknown): void;
}

/** Runs one command; an error is part of its answer. */
export async function answerTo(
  name: string,
  params: unknown,
  call: Call,
  { methods, failed }: CommandParts,
): Promise<{ readonly result: string } | { readonly error: ApiError }> {
  const method = methods.get(name);
  if (method?.compatible !== true || method.name === "batch") {
    return { error: { code: 104, message: `Method not found: ${shownName(name)}` } };
  }
  try {
    return { result: await run(method, params, call) };
  } catch (error) {
    const known = apiError(error);
    if (known === undefined) failed(method.name, error);
    return { error: known ?? internalError };
  }
}

/** Makes the method. */
export function batchMethod(parts: CommandParts): Method {
  return compatible({
    name: "batch",
    summary: "Runs several commands",
    params: {
      type: "object",
      properties: {
        commands: {
          type: "array",
          items: { type: "object" },
          description: "Each is `{ METHOD: parameters }` and needs the permission of its method",
        },
        parallel: { type: "boolean", description: "Whether a command need not wait for the one before it" },
      },
      required: ["commands"],
    },
    result: {
      type: "object",
      properties: {
        replies: {
          type: "array",
          items: { type: "object" },
          description: "In the order of the commands: `{ METHOD: result }` or `{ error }`",
        },
      },
    },
    async run({ commands, parallel = false }, { text, identity }) {
      const texts = itemTexts(memberText(text, "commands")!);
      const reply = (command: unknown): MaybePromise<string> =>
        replyTo(command, texts.next().value ?? "{}", identity, parts);
      const replies = await inSlices(commands, reply, { parallel });
      return `{"replies":[${replies.join(",")}]}`;
    },
  });
}

async function replyTo(
  command: unknown,
  text: string,
  identity: Call["identity"],
  parts: CommandParts,
): Promise<string> {
  const given = isRecord(command) ? command : {};
  const names = Object.keys(given);
  const name = names.find((key) => parts.methods.has(key)) ?? names[0] ?? "";
  const params = memberText(text, name) ?? "{}";
  const answer = await answerTo(name, given[name], { identity, text: params }, parts);
  return "error" in answer ? `{"error":${JSON.stringify(answer.error)}}` : `{"${name}":${answer.result}}`;
}
