import type { Closed } from "../contract/close_codes.ts";
import type { Connection } from "../contract/connection.ts";
import type { Upgrade } from "../contract/endpoint.ts";
import type { Message } from "../contract/framing.ts";

/** The plugins' hooks, as connections call them. */
export interface ConnectionHooks {
  open(conn: Connection, upgrade: Upgrade): void;
  close(conn: Connection, why: Closed): void;
  /** Returns whether a plugin dropped the message. */
  message(conn: Connection, data: Message): boolean;
  /** Logs a failure with the plugin's and the hook's name. */
  failed(plugin: string, hook: string, error: unknown): void;
  /** Logs a rejection of what a hook returned. */
  contain(plugin: string, hook: string, returned: unknown): void;
}
