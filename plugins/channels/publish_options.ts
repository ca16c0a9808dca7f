/**
 * Checks how something is published, and tells the broker.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";
import { checkIdempotencyKey, keyOf, ownerOf, type Repeatable, serverOwner } from "../shared/idempotency.ts";
import type { BrokerPublishOptions, PublicationVersion } from "./broker.ts";
import type { Publishing } from "./extensions.ts";
import type { PublishOptions } from "./publications.ts";
import { checkTags } from "./tags.ts";

/** Returns what the broker needs to know. */
export function brokerOptions(
  options: PublishOptions,
  publishing: Publishing,
  idempotencyMs: number,
): BrokerPublishOptions {
  const { tags, except, ephemeral, idempotencyKey, version } = options;
  if (tags !== undefined) checkTags(tags);
  if (except !== undefined && !ephemeral) {
    throw new PlugboardError("bad_request", "Only ephemeral publications can exclude a client");
  }
  const keep = ephemeral ? undefined : publishing.namespace.keep;
  if (idempotencyKey === undefined && version === undefined) return { keep };
  if (version !== undefined && keep === undefined) {
    throw new PlugboardError(
      "not_available",
      "A version requires a history, and this publication is in none",
    );
  }
  return {
    keep,
    ...(idempotencyKey !== undefined && { repeatable: repeatable(options, publishing, idempotencyMs) }),
    ...(version !== undefined && { version: checkedVersion(version, options.versionEpoch) }),
  };
}

function repeatable(
  { idempotencyKey, idempotencyMs, idempotencyOwner }: PublishOptions,
  { channel, client }: Publishing,
  defaultMs: number,
): Repeatable {
  checkIdempotencyKey(idempotencyKey);
  const ttlMs = idempotencyMs ?? defaultMs;
  if (!Number.isSafeInteger(ttlMs) || ttlMs < 1) {
    throw new PlugboardError("bad_request", `"idempotencyMs" must be a positive integer, got ${ttlMs}`);
  }
  const owner = client !== undefined
    ? ownerOf(client.identity, client.conn)
    : idempotencyOwner === undefined
    ? serverOwner
    : JSON.stringify(idempotencyOwner);
  return { key: keyOf(owner, channel, idempotencyKey), owner, ttlMs };
}

function checkedVersion(number: number, epoch = ""): PublicationVersion {
  if (!Number.isSafeInteger(number) || number < 1) {
    throw new PlugboardError("bad_request", `"version" must be a positive integer, got ${number}`);
  }
  if (typeof epoch !== "string" || epoch.length > 200 || UNSTORABLE.test(epoch)) {
    throw new PlugboardError("bad_request", '"versionEpoch" must be a string of at most 200 characters');
  }
  return { number, epoch };
}

/** What databases refuse, or store differently. */
// deno-lint-ignore no-control-regex -- NUL
const UNSTORABLE = /\u0000|\p{Surrogate}/u;
