import type { PublishChange, Publishing, PublishOptions } from "../channels.ts";
import { accountOf } from "../shared/identity.ts";
import { isRecord } from "../shared/records.ts";
import { askOrAllow, type ClientContext } from "./asking.ts";
import type { Backend } from "./backend.ts";
import { bad, type Reply } from "./reply.ts";

/** Asks whether a client may publish, and what is published. */
export async function decidePublish(
  backend: Backend,
  context: ClientContext,
  { client, channel, draft }: Publishing,
): Promise<PublishChange | undefined> {
  const { identity, conn } = client!;
  return await askOrAllow({
    backend,
    context,
    account: accountOf(identity, conn.ip),
    members: { user: identity.user, channel, data: draft.payload },
    read: (reply) => reply && changeIn(reply),
  });
}

function changeIn(reply: Reply): PublishChange {
  const payload = reply.payload("data");
  const { tags, version } = reply.members;
  if (tags !== undefined && tags !== null && !isTags(tags)) throw bad("tags must be an object of strings");
  if (version !== undefined && !Number.isSafeInteger(version)) throw bad("version must be an integer");
  const key = reply.text("idempotency_key");
  const epoch = reply.text("version_epoch");
  const options: PublishOptions = {
    ...(reply.flag("skip_history") && { ephemeral: true }),
    ...(isTags(tags) && { tags }),
    ...(key && { idempotencyKey: key }),
    ...(version ? { version: version as number } : {}),
    ...(epoch && { versionEpoch: epoch }),
  };
  return { options, ...(payload !== undefined && { payload }) };
}

function isTags(value: unknown): value is Record<string, string> {
  return isRecord(value) && Object.values(value).every((each) => typeof each === "string");
}
