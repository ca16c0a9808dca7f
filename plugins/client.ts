/**
 * Client: serves the module for apps to browsers, with its types and its hooks for React.
 *
 * ```ts
 * import { Server } from "@plugboard/server";
 * import { client } from "@plugboard/server/client/plugin";
 *
 * const server = new Server({ port: 0 });
 * server.use(client()); // import { call, live } from "http://127.0.0.1:8080/plugboard.js"
 * ```
 *
 * The modules are public, so pages of any origin may import them. Browsers ask each time whether there is another version.
 * The hooks import `react` by its name, so a page needs an import map with it.
 *
 * @module
 */

import { stripTypeScriptTypes } from "node:module";
import type { Plugin } from "../core/mod.ts";
import call from "./client/call.ts" with { type: "text" };
import channel from "./client/channel.ts" with { type: "text" };
import live from "./client/live.ts" with { type: "text" };
import types from "./client/plugboard.d.ts" with { type: "text" };
import reactTypes from "./client/plugboard_react.d.ts" with { type: "text" };
import presence from "./client/presence.ts" with { type: "text" };
import react from "./client/react.ts" with { type: "text" };
import store from "./client/store.ts" with { type: "text" };
import subscription from "./client/subscription.ts" with { type: "text" };
import { asset } from "./shared/asset.ts";
import liveChannels from "./shared/live_channels.ts" with { type: "text" };
import liveRows from "./shared/live_rows.ts" with { type: "text" };

/** Serves `/plugboard.js`, `/plugboard-react.js` and their types. */
export function client(): Plugin {
  return {
    name: "client",
    routes(app) {
      const open = { "access-control-allow-origin": "*" };
      const typed = (name: string) => ({
        ...open,
        "x-typescript-types": `./${name}`,
        "access-control-expose-headers": "x-typescript-types",
      });
      const files = {
        "/plugboard.js": asset("text/javascript", plugboard, typed("plugboard.d.ts")),
        "/plugboard-react.js": asset("text/javascript", hooks, typed("plugboard-react.d.ts")),
        "/plugboard.d.ts": asset("text/typescript", () => types, open),
        "/plugboard-react.d.ts": asset("text/typescript", () => reactTypes, open),
      };
      for (const [path, answer] of Object.entries(files)) app.get(path, (c) => answer(c.req.raw));
    },
  };
}

/** All files of the client as one module. */
function plugboard(): string {
  const sources = [liveChannels, liveRows, store, subscription, live, channel, presence, call];
  return stripTypeScriptTypes(sources.map(withoutImports).join("\n"));
}

/** The hooks, which import the other module from the same server. */
function hooks(): string {
  return stripTypeScriptTypes(react).replace(
    `"./mod.ts"`,
    `"./plugboard.js"`,
  );
}

/** The files use each other's names, which all differ. */
function withoutImports(source: string): string {
  return source.replace(/^import [^;]+ from "\.[^"]+";$/gm, "");
}
