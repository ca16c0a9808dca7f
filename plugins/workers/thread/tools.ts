import type { Backlog } from "../../../core/connections/backlog.ts";
import type { Inbox } from "../../../core/connections/inbox.ts";
import type { ClosingSockets } from "../../../core/http/closing_sockets.ts";
import type { socketInternals } from "../../../core/http/socket_internals.ts";
import type { CloseCode } from "../../../core/mod.ts";
import type { AWAITED, DONE } from "../messages.ts";

/** Parts of the kernel that workers use, as text. */
export interface Tools {
  readonly Backlog: typeof Backlog;
  readonly Inbox: typeof Inbox;
  readonly ClosingSockets: typeof ClosingSockets;
  readonly socketInternals: typeof socketInternals;
}

/** Values that the worker's program is made with. */
export interface Constants {
  readonly done: typeof DONE;
  readonly awaited: typeof AWAITED;
  readonly creditBytes: number;
  readonly messageBytes: number;
  /** Reasons to drop what waits for the reader, instead of sending it first. */
  readonly dropping: readonly number[];
  readonly internalError: CloseCode;
  readonly slow: CloseCode;
  readonly tooLarge: CloseCode;
  readonly tooManyRequests: CloseCode;
}
