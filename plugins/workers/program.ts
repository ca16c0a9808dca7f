import { Backlog } from "../../core/connections/backlog.ts";
import { Inbox } from "../../core/connections/inbox.ts";
import { ClosingSockets } from "../../core/http/closing_sockets.ts";
import { socketInternals } from "../../core/http/socket_internals.ts";
import { closeCodes } from "../../core/mod.ts";
import { AWAITED, CREDIT_BYTES, DONE, MESSAGE_BYTES } from "./messages.ts";
import { threadConnections } from "./thread/connections.ts";
import { threadIncoming } from "./thread/incoming.ts";
import { type Parts, threadMain } from "./thread/main.ts";
import { reporter } from "./thread/reporter.ts";
import { threadRequests } from "./thread/requests.ts";
import type { Constants } from "./thread/tools.ts";

/** What the program consists of. None of it uses anything outside of itself but its arguments. */
const PARTS: Parts = {
  Backlog,
  Inbox,
  ClosingSockets,
  socketInternals,
  reporter,
  threadIncoming,
  threadConnections,
  threadRequests,
};

const { internalError, slow, noPong, tooLarge, tooManyRequests } = closeCodes;

const CONSTANTS: Constants = {
  done: DONE,
  awaited: AWAITED,
  creditBytes: CREDIT_BYTES,
  messageBytes: MESSAGE_BYTES,
  dropping: [slow.code, noPong.code],
  internalError,
  slow,
  tooLarge,
  tooManyRequests,
};

/** Returns the program of a worker as text. */
export function threadSource(): string {
  const parts = Object.entries(PARTS).map(([name, part]) => `${name}: ${part}`);
  return `(${threadMain})({ ${parts.join(",\n")} }, ${JSON.stringify(CONSTANTS)});`;
}
