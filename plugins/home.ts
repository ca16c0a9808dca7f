/**
 * Home: the page at `/`, where two browser tabs talk at once, with the code beside it that does the same.
 *
 * ```ts
 * import { Server } from "@plugboard/server";
 * import { centrifuge } from "@plugboard/server/centrifuge";
 * import { channels } from "@plugboard/server/channels";
 * import { home } from "@plugboard/server/home";
 *
 * const server = new Server({ port: 0 });
 * server.use(centrifuge({ channels: server.use(channels()) }));
 * server.use(home());
 * ```
 *
 * The page connects like any client, by the Centrifuge protocol, and may do what its user may; where a token is needed,
 * it asks for one. Nothing comes from elsewhere: the official SDK is served as well, as the module `/centrifuge.js`.
 * All its addresses are relative, so that a proxy may put the server beneath a path that ends with a slash.
 *
 * @module
 */

import { createHash } from "node:crypto";
import type { Plugin } from "../core/mod.ts";
import { asset } from "./home/asset.ts";
import { defineDemo, type HomeDemo } from "./home/demo.ts";
import channel from "./home/channel.js" with { type: "text" };
import dom from "./home/dom.js" with { type: "text" };
import icon from "./home/icon.svg" with { type: "text" };
import ideas from "./home/ideas.js" with { type: "text" };
import main from "./home/main.js" with { type: "text" };
import page from "./home/page.html" with { type: "text" };
import style from "./home/style.css" with { type: "text" };

export type { HomeDemo } from "./home/demo.ts";

/** Options of {@linkcode home}. */
export interface HomeOptions {
  /**
   * What the page's live query is made with: a table of at most twenty short rows, which whoever may write
   * `home` can change. Meant for servers where nobody has to sign in. @default {false} the page says that it is off
   */
  demo?: HomeDemo | false;
}

/** Serves the page at `/`. */
export function home({ demo = false }: HomeOptions = {}): Plugin {
  let withdraw = () => {};

  return {
    name: "home",
    async start() {
      if (demo) withdraw = await defineDemo(demo);
    },
    routes(app) {
      const html = page.replace("{{demo}}", demo ? "on" : "off");
      const files = {
        "/": asset("text/html", () => html, { "content-security-policy": policyOf(html) }),
        "/home/style.css": asset("text/css", () => style),
        "/home/icon.svg": asset("image/svg+xml", () => icon),
        "/home/main.js": asset("text/javascript", () => main),
        "/home/channel.js": asset("text/javascript", () => channel),
        "/home/ideas.js": asset("text/javascript", () => ideas),
        "/home/dom.js": asset("text/javascript", () => dom),
        "/centrifuge.js": asset("text/javascript", loadSdk, { "access-control-allow-origin": "*" }),
      };
      for (const [path, answer] of Object.entries(files)) app.get(path, (c) => answer(c.req.raw));
    },
    stop: () => withdraw(),
  };
}

/** The text of the SDK's module; it is part of this one's graph, and so of what is bundled, but read when asked for. */
async function loadSdk(): Promise<string> {
  const { default: text } = await import("centrifuge", { with: { type: "text" } });
  return text;
}

/** Whatever somebody writes, only the page's own scripts run. Of those in the page itself, there is the import map. */
function policyOf(html: string): string {
  const [importMap = ""] = html.match(/(?<=<script type="importmap">)[^<]*/) ?? [];
  const hash = createHash("sha256").update(importMap).digest("base64");
  return `default-src 'none'; script-src 'self' 'sha256-${hash}'; style-src 'self'; img-src 'self'; ` +
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
}
