/**
 * Assets: files that are part of the program, as answers to browsers.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { MaybePromise } from "../../core/mod.ts";

/** What a file is sent as, made once. */
interface Prepared {
  readonly text: string;
  readonly zipped: Uint8Array<ArrayBuffer>;
  readonly etag: string;
}

/**
 * Answers requests for a file of text. It is loaded and packed at the first request, not at the start of the server;
 * browsers keep it, and ask each time whether it is still the same.
 */
export function asset(
  type: string,
  load: () => MaybePromise<string>,
  headers: Readonly<Record<string, string>> = {},
): (request: Request) => Promise<Response> {
  let prepared: Promise<Prepared> | undefined;
  const always = {
    ...headers,
    "cache-control": "no-cache",
    "vary": "accept-encoding",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
  };

  return async ({ headers: asked }) => {
    const { text, zipped, etag } = await (prepared ??= prepare(load));
    const about = { ...always, etag, "content-type": `${type}; charset=utf-8` };
    if (asked.get("if-none-match")?.includes(etag)) {
      return new Response(null, { status: 304, headers: about });
    }
    // The runtime would pack it anew for each request.
    return /\bgzip\b/.test(asked.get("accept-encoding") ?? "")
      ? new Response(zipped, { headers: { ...about, "content-encoding": "gzip" } })
      : new Response(text, { headers: about });
  };
}

async function prepare(load: () => MaybePromise<string>): Promise<Prepared> {
  const text = await load();
  const digest = createHash("sha256").update(text).digest("base64url");
  // Weak: packed and plain are the same to a reader, and not the same bytes.
  return { text, zipped: new Uint8Array(await promisify(gzip)(text)), etag: `W/"${digest}"` };
}
