/**
 * The part of `@redis/client` that this plugin uses. Its own types bring those of Node, which replace the runtime's in the
 * whole program.
 */

import type { Buffer } from "node:buffer";

export interface RedisClient {
  readonly isReady: boolean;
  connect(): Promise<unknown>;
  destroy(): void;
  on(event: "error", listener: (error: unknown) => void): unknown;
  sendCommand(
    command: readonly (string | Buffer)[],
    options?: { readonly typeMapping: Record<number, unknown> },
  ): Promise<unknown>;
  subscribe(
    names: string | readonly string[],
    listener: (message: Buffer, name: Buffer) => void,
    buffers: true,
  ): Promise<void>;
  unsubscribe(name: string, listener: (message: Buffer, name: Buffer) => void, buffers: true): Promise<void>;
}

export interface RedisClientOptions {
  readonly url: string;
  readonly disableOfflineQueue: boolean;
  readonly commandOptions: { readonly timeout: undefined };
  readonly maintNotifications: "disabled";
  readonly socket: { readonly reconnectStrategy: false };
}

export function createClient(options: RedisClientOptions): RedisClient;

/** An error that the server has answered. */
export class ErrorReply extends Error {}

export const RESP_TYPES: { readonly BLOB_STRING: 36 };
