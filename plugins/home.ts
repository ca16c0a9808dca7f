/**
 * Home: the page at `/`, a live demo in the browser next to the code that does the same.
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
 * The page is a client of the Centrifuge protocol with the permissions of its user. If the server needs a token, the page
 * asks for one. It loads nothing from other servers: the official SDK is served as the module `/centrifuge.js`. All URLs
 * are relative, so a proxy can serve the page below any path that ends with a slash.
 *
 * @module
 */

import type { Plugin } from "../core/mod.ts";
import { asset } from "./shared/asset.ts";
import { pagePolicy } from "./shared/page_policy.ts";
import theme from "./shared/theme.css" with { type: "text" };
import { defineDemo, type HomeDemo } from "./home/demo.ts";
import channel from "./home/channel.js" with { type: "text" };
import code from "./home/code.js" with { type: "text" };
import dom from "./home/dom.js" with { type: "text" };
import icon from "./shared/icon.svg" with { type: "text" };
import ideas from "./home/ideas.js" with { type: "text" };
import main from "./home/main.js" with { type: "text" };
import page from "./home/page.html" with { type: "text" };
import style from "./home/style.css" with { type: "text" };

export type { HomeDemo } from "./home/demo.ts";

/** Options of {@linkcode home}. */
export interface HomeOptions {
  /**
   * Services for the live query of the page: a table of at most twenty short rows. Changing it needs the permission
   * `write:home`. Use it on servers without sign-in. @default {false} the page shows that it is off
   */
  demo?: HomeDemo | false;
}

/** Serves the page at `/`. */
export function home({ demo = false }: HomeOptions = {}): Plugin {
  let removeDemo = () => {};

  return {
    name: "home",
    async start() {
      if (demo) removeDemo = await defineDemo(demo);
    },
    routes(app) {
      const html = page.replace("{{demo}}", demo ? "on" : "off");
      const files = {
        "/": asset("text/html", () => html, { "content-security-policy": pagePolicy(html) }),
        "/home/style.css": asset("text/css", () => theme + style),
        "/home/icon.svg": asset("image/svg+xml", () => icon),
        "/home/main.js": asset("text/javascript", () => main),
        "/home/channel.js": asset("text/javascript", () => channel),
        "/home/code.js": asset("text/javascript", () => code),
        "/home/ideas.js": asset("text/javascript", () => ideas),
        "/home/dom.js": asset("text/javascript", () => dom),
        "/centrifuge.js": asset("text/javascript", loadSdk, { "access-control-allow-origin": "*" }),
      };
      for (const [path, answer] of Object.entries(files)) app.get(path, (c) => answer(c.req.raw));
    },
    stop: () => removeDemo(),
  };
}

/** Returns the source of the SDK. The import makes it part of the bundle, and loads it on the first request. */
async function loadSdk(): Promise<string> {
  const { default: text } = await import("centrifuge", { with: { type: "text" } });
  return text;
}
