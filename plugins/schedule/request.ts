/**
 * Checks what is scheduled.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";
import type { ChannelControl } from "../channels.ts";
import { Payload } from "../shared/payload.ts";
import { isRecord } from "../shared/records.ts";
import type { NewEntry } from "./entries.ts";
import type { Recurrence } from "./recurrence.ts";
import type { Times } from "./times.ts";
import type { ScheduleRequest } from "./types.ts";

/** The last moment that a date can have. */
const MAX_TIME = 8_640_000_000_000_000;

/** The maximum bytes of one publication. */
const MAX_BYTES = 1_048_576;

/** The maximum characters of an id or an owner. */
const MAX_NAME = 200;

/** What a request is checked with. */
interface Context {
  readonly channels: Pick<ChannelControl, "namespaceOf">;
  readonly times: Times;
  readonly pattern: Recurrence;
}

/** Returns what to store; throws `bad_request`. */
export function entryOf(
  channel: string,
  data: unknown,
  request: ScheduleRequest,
  context: Context,
): NewEntry {
  const { every, timezone, id = crypto.randomUUID(), owner } = request;
  const { payloads, keep } = context.channels.namespaceOf(channel); // throws
  checkName("id", id);
  if (owner !== undefined) checkName("owner", owner);
  const given = Payload.of(data);
  const payload = payloads === "json" ? given.asJson() : given;
  const text = optionsText(request);
  if (request.version !== undefined && (keep === undefined || request.ephemeral)) {
    throw new PlugboardError(
      "not_available",
      "A version requires a history, and this publication is in none",
    );
  }
  if (payload.byteLength + text.length > MAX_BYTES) {
    throw new PlugboardError("bad_request", `A scheduled publication may have ${MAX_BYTES} bytes`);
  }
  return {
    id,
    channel,
    payload,
    options: text,
    owner: owner ?? null,
    every: every ?? null,
    timezone: every === undefined ? null : timezone ?? "UTC",
    ...momentOf(request, context),
  };
}

function momentOf(
  { at, delay, every, timezone = "UTC" }: ScheduleRequest,
  { times, pattern }: Context,
): Pick<NewEntry, "planned" | "steady"> {
  if ([at, delay, every].filter((each) => each !== undefined).length !== 1) {
    throw new PlugboardError("bad_request", 'Exactly one of "at", "delay" and "every" is needed');
  }
  if (every !== undefined) {
    pattern.check(every, timezone, times.wall);
    return { steady: 0, planned: pattern.next(every, timezone, times.wall)! };
  }
  const [name, ms] = at !== undefined ? ["at", at] as const : ["delay", delay!] as const;
  if (!Number.isInteger(ms) || ms < 0 || ms > MAX_TIME - 2 * times.wall) {
    throw new PlugboardError("bad_request", `"${name}" must be in whole milliseconds, got ${String(ms)}`);
  }
  return at !== undefined
    ? { steady: 0, planned: at }
    : { steady: 1, planned: Math.round(times.steady + ms) };
}

const KNOWN = new Set([
  ...["at", "delay", "every", "timezone", "id", "owner", "idempotencyKey"],
  ...["tags", "ephemeral", "version", "versionEpoch"],
]);

/** Checks here what would fail only when it is due. */
function optionsText(request: ScheduleRequest): string {
  const { tags, ephemeral, version, versionEpoch } = request;
  const unknown = Object.entries(request).find(([name, value]) => value !== undefined && !KNOWN.has(name));
  const refuse = (sentence: string) => {
    throw new PlugboardError("bad_request", sentence);
  };
  if (unknown !== undefined) refuse(`A scheduled publication has no option "${unknown[0]}"`);
  if (
    tags !== undefined && !(isRecord(tags) && Object.values(tags).every((tag) => typeof tag === "string"))
  ) {
    refuse("Tags must be an object whose values are texts");
  }
  if (![true, false, undefined].includes(ephemeral)) refuse('"ephemeral" must be true or false');
  if (version !== undefined && !(Number.isSafeInteger(version) && version > 0)) {
    refuse(`"version" must be a positive integer, got ${String(version)}`);
  }
  if (
    versionEpoch !== undefined &&
    !(typeof versionEpoch === "string" && versionEpoch.length <= MAX_NAME && !INVALID.test(versionEpoch))
  ) {
    refuse(`"versionEpoch" must be a text of at most ${MAX_NAME} characters`);
  }
  return JSON.stringify({ tags, ephemeral, version, versionEpoch });
}

// deno-lint-ignore no-control-regex -- names must not have them
const INVALID = /[\u0000-\u001f]|\p{Surrogate}/u;

function checkName(what: string, name: unknown): void {
  if (typeof name === "string" && name !== "" && name.length <= MAX_NAME && !INVALID.test(name)) return;
  throw new PlugboardError("bad_request", `"${what}" must be a text of 1 to ${MAX_NAME} characters`);
}

/** Throws `bad_request` for a text that no scheduled publication can have, and that the database refuses. */
export function checkTexts(texts: Readonly<Record<string, unknown>>): void {
  for (const [what, text] of Object.entries(texts)) {
    if (text === undefined || typeof text === "string" && !INVALID.test(text)) continue;
    throw new PlugboardError("bad_request", `"${what}" must be a text without control characters`);
  }
}
