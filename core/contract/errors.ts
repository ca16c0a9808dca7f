/**
 * Errors for programs, refusals for clients, and guards for the options of plugins.
 *
 * @module
 */

/** An error with a code that callers can handle. */
export class PlugboardError extends Error {
  /** The kind of the error: `bad_option`, `start_failed` … */
  readonly code: string;

  /** Makes an error with a code for programs and a message for people. */
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "PlugboardError";
    this.code = code;
  }
}

/** Guards for the options of one plugin; see {@linkcode checkOptions}. */
export interface OptionGuards {
  /** An integer above zero. */
  positiveInteger(option: string, value: number): void;
  /** Zero or an integer above it. */
  wholeNumber(option: string, value: number): void;
  /** A number above zero. */
  positive(option: string, value: number): void;
  /** A non-empty string. */
  filled(option: string, value: string): void;
  /** One of the allowed values. */
  oneOf<T>(option: string, value: T, allowed: readonly T[]): void;
  /** Any other rule: throws unless it `holds`. */
  that(holds: boolean, option: string, rule: string, value: unknown): void;
}

/**
 * Returns guards for the options of a plugin. Their errors name the plugin and the option.
 *
 * ```ts
 * import { checkOptions } from "@plugboard/server";
 *
 * function rooms({ maxPerConnection = 32 } = {}) {
 *   checkOptions("rooms").positiveInteger("maxPerConnection", maxPerConnection);
 * }
 * ```
 */
export function checkOptions(plugin: string): OptionGuards {
  const that = (holds: boolean, option: string, rule: string, value: unknown) => {
    if (!holds) {
      const got = typeof value === "string" ? JSON.stringify(value) : String(value);
      throw new PlugboardError(
        "bad_option",
        `Cannot start ${plugin}: "${option}" must be ${rule}, got ${got}`,
      );
    }
  };
  return {
    that,
    positiveInteger: (option, value) =>
      that(Number.isSafeInteger(value) && value > 0, option, "a positive integer", value),
    wholeNumber: (option, value) =>
      that(Number.isSafeInteger(value) && value >= 0, option, "zero or a positive integer", value),
    positive: (option, value) =>
      that(Number.isFinite(value) && value > 0, option, "a number above zero", value),
    filled: (option, value) =>
      that(typeof value === "string" && value !== "", option, "a non-empty string", value),
    oneOf: (option, value, allowed) =>
      that(allowed.includes(value), option, `one of ${allowed.join(", ")}`, value),
  };
}

/**
 * Returns the message of anything that was thrown.
 *
 * ```ts
 * import { messageOf } from "@plugboard/server";
 * import assert from "node:assert/strict";
 *
 * assert.equal(messageOf(new Error("no disk")), "no disk");
 * assert.equal(messageOf("no disk"), "no disk");
 * ```
 */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/**
 * Returns a response with an error as JSON.
 *
 * ```ts
 * import { type Plugin, refusal } from "@plugboard/server";
 *
 * const closed: Plugin = { name: "closed", upgrade: () => refusal(403, "closed", "No clients today") };
 * ```
 */
export function refusal(
  status: number,
  code: string,
  message: string,
  headers: Record<string, string> = {},
): Response {
  return Response.json({ error: { code, message } }, { status, headers });
}

/** Wraps the error of a plugin that failed to start, with the plugin's name. */
export function startFailed(plugin: string, cause: unknown): Error {
  if (cause instanceof PlugboardError) return cause;
  return new PlugboardError("start_failed", `Cannot start ${plugin}: ${messageOf(cause)}`, { cause });
}
