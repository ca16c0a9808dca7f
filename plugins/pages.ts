/**
 * Pages: serves the files of a folder.
 *
 * ```ts
 * import { Server } from "@plugboard/server";
 * import { pages } from "@plugboard/server/pages";
 *
 * const server = new Server({ port: 0 });
 * server.use(pages({ folder: "public" }));
 * ```
 *
 * Files whose names begin with a dot, and those in such folders, are not served. What is not in the folder is left to the plugins
 * that are used later.
 *
 * @module
 */

import { join } from "node:path";
import { serveStatic } from "@hono/hono/serve-static";
import { checkOptions, type Plugin } from "../core/mod.ts";

/** Options of {@linkcode pages}. */
export interface PagesOptions {
  /** The folder. It needs `--allow-read`. */
  folder: string;
}

/** Serves the files of a folder. */
export function pages({ folder }: PagesOptions): Plugin {
  checkOptions("pages").filled("folder", folder);
  return {
    name: "pages",
    start() {
      if (!Deno.statSync(folder).isDirectory) throw new Error(`${folder} is not a folder`);
    },
    routes(app) {
      const serve = serveStatic({
        root: folder,
        join,
        isDir: async (path) => (await statOf(path))?.isDirectory ?? false,
        getContent: async (path, c) =>
          (await statOf(path))?.isFile ? await read(path, c.req.raw.method) : null,
        onFound(_path, c) {
          c.header("cache-control", "no-cache");
          c.header("x-content-type-options", "nosniff");
        },
      });
      app.get("/*", async (c, next) => {
        return c.req.path.includes("/.") ? await next() : await serve(c, next);
      });
    },
  };
}

/** Anything that cannot be read is not there: a name may be too long, for example. */
async function statOf(path: string): Promise<Deno.FileInfo | undefined> {
  try {
    return await Deno.stat(path);
  } catch {
    return undefined;
  }
}

async function read(path: string, method: string): Promise<ReadableStream<Uint8Array> | "" | null> {
  if (method === "HEAD") return "";
  try {
    return (await Deno.open(path)).readable;
  } catch {
    return null;
  }
}
