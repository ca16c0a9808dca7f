// deno-lint-ignore-file no-explicit-any -- the table checks the shape of answers
import assert from "node:assert/strict";
import type { Client, TestServer } from "../../../kit/mod.ts";
import { refusedUpgrade } from "../kit.ts";
import type { Credentials, Needs } from "./callers.ts";

/** What a client does at a place, and what it needs for it. */
export interface Operation {
  /** The method and the path, as the router has them; the method of an endpoint is `SOCKET`. */
  readonly place: string;
  readonly name: string;
  readonly needs: Needs;
  /** Resolves to whether it was allowed. Rejects after any answer but the result or a refusal. */
  run(server: TestServer, credentials: Credentials): Promise<boolean>;
}

/** The credentials as the query of a URL. */
export function query({ token, apiKey }: Credentials, more: Record<string, string> = {}): string {
  const params = {
    ...more,
    ...(token !== undefined && { token }),
    ...(apiKey !== undefined && { api_key: apiKey }),
  };
  return `?${new URLSearchParams(params)}`;
}

/** The credentials as headers. */
export function headers({ token, apiKey }: Credentials): Record<string, string> {
  return {
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
    ...(apiKey !== undefined && { "x-api-key": apiKey }),
  };
}

/** Connects; resolves to `undefined` if the request is refused. */
export async function connect(
  server: TestServer,
  path: string,
  protocols: string[] = [],
): Promise<Client | undefined> {
  try {
    return await server.connect(path, protocols);
  } catch {
    const { status } = await refusedUpgrade(server, path);
    assert.ok(status === 401 || status === 403, `${path} was refused with ${status}`);
  }
}

/** Sends a message and returns the first answer that `isAnswer`; `undefined` if the connection is closed instead. */
export async function answered(
  client: Client,
  message: unknown,
  isAnswer: (answer: any) => boolean,
): Promise<any> {
  client.sendJson(message);
  for (;;) {
    let text: string;
    try {
      text = await client.nextText();
    } catch (error) {
      if (/was closed with 35\d\d/.test(String(error))) return undefined;
      throw error;
    }
    for (const line of text.split("\n")) {
      const answer = JSON.parse(line);
      if (isAnswer(answer)) return answer;
    }
  }
}

/** A route for HTTP requests. Anything but a refusal is allowed, if it is not a failure of the server. */
export function route(
  place: string,
  needs: Needs,
  { path, body, status: only }: { path?: string; body?: string; status?: number } = {},
): Operation {
  const [method, pattern] = place.split(" ") as [string, string];
  return {
    place,
    name: "request",
    needs,
    async run(server, credentials) {
      const response = await server.fetch(path ?? pattern, {
        method,
        headers: headers(credentials),
        ...(body !== undefined && { body }),
      });
      await response.body?.cancel();
      const { status } = response;
      assert.ok(only === undefined ? status < 500 : status === only, `${place} answered ${status}`);
      return status !== 401 && status !== 403;
    },
  };
}
