import { Payload } from "../shared/payload.ts";
import type { Namespace } from "./namespace.ts";

const EMPTY = Payload.fromBytes(new Uint8Array());

/** Returns what is published as a payload; throws `bad_request` if the namespace does not allow it. */
export function payloadFor({ payloads }: Namespace, data: unknown): Payload {
  if (payloads === "json") return Payload.of(data).asJson();
  return data === undefined ? EMPTY : Payload.of(data);
}
