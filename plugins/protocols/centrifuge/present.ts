import type { ClientInfo } from "../../channels.ts";
import type { Present } from "../../presence.ts";

/** What clients see of a client that is present: what an update said, where the token of a subscription says nothing. */
export function infoOf({ client, user, info, data }: Present): ClientInfo {
  const chanInfo = info?.chanInfo ?? (data === undefined ? undefined : JSON.stringify(data));
  return { user, client, ...info, ...(chanInfo !== undefined && { chanInfo }) };
}
