import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { MaybePromise } from "../../core/mod.ts";

/**
 * Returns a handler that serves a text file of the program to browsers. The file is loaded and compressed on the first
 * request. Browsers cache it and revalidate it on each request.
 */
export function asset(
  type: string,
  load: () => MaybePromise<string>,
  extraHeaders: Readonly<Record<string, string>> = {},
): (request: Request) => Promise<Response> {
  let prepared: ReturnType<typeof prepare> | undefined;
  const common = {
    ...extraHeaders,
    "cache-control": "no-cache",
    "vary": "accept-encoding",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
  };

  return async ({ headers }) => {
    const { text, gzipped, etag } = await (prepared ??= prepare(load));
    const responseHeaders = { ...common, etag, "content-type": `${type}; charset=utf-8` };
    if (headers.get("if-none-match")?.includes(etag)) {
      return new Response(null, { status: 304, headers: responseHeaders });
    }
    // The runtime would compress it on each request.
    return /\bgzip\b/.test(headers.get("accept-encoding") ?? "")
      ? new Response(gzipped, { headers: { ...responseHeaders, "content-encoding": "gzip" } })
      : new Response(text, { headers: responseHeaders });
  };
}

async function prepare(load: () => MaybePromise<string>) {
  const text = await load();
  const digest = createHash("sha256").update(text).digest("base64url");
  // Weak, since the compressed response has other bytes.
  return { text, gzipped: new Uint8Array(await promisify(gzip)(text, { level: 9 })), etag: `W/"${digest}"` };
}
