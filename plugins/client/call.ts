import type { ArgsOf, CallName, Client, ClientError, ResultOf } from "./types.ts";

/** A call that failed. */
export class CallError extends Error {
  /** For programs: https://centrifugal.dev/docs/server/codes, or a number of the app. */
  readonly code: number;
  /** Whether the same call may succeed later. */
  readonly temporary: boolean;

  /** Makes an error of what the SDK reports. */
  constructor({ code, message, temporary = false }: ClientError & { readonly temporary?: boolean }) {
    const isAway = code >= 1 && code <= 3; // the SDK's own: timeout, connection closed, disconnected
    super(isAway ? `No answer from the server, or no connection (${message})` : message);
    this.name = "CallError";
    this.code = code;
    this.temporary = temporary || isAway;
  }
}

/** Options of {@linkcode call}. */
export interface CallOptions {
  /**
   * Runs a mutation once, however often it is called with this key by the same user within five minutes: of 1 to 200
   * characters, such as `crypto.randomUUID()` for a form. Repeated calls get the first reply. Methods that are no mutations do not
   * support it.
   */
  readonly idempotencyKey?: string;
}

/**
 * Calls a method or a mutation. Rejects with a {@linkcode CallError}. A mutation resolves when the live queries of this client
 * show its changes.
 *
 * ```ts ignore
 * const id = await call(client, "addOrder", { customer: "Ada", total: 12.5 });
 * ```
 */
export async function call<Api, Name extends CallName<Api>>(
  client: Client<Api>,
  name: Name,
  ...rest: [...ArgsOf<NoInfer<Api>, Name>, options?: CallOptions]
): Promise<ResultOf<Api, Name>> {
  const [args = null, { idempotencyKey } = {}] = rest as unknown as [unknown?, CallOptions?];
  try {
    return (await client.rpc(name, idempotencyKey === undefined ? args : { idempotencyKey, args })).data;
  } catch (error) {
    throw new CallError(error as ClientError);
  }
}
