/** The stylesheet and the icon of the pages of all examples. */

import type { Plugin } from "@plugboard/server";
import icon from "../../plugins/shared/icon.svg" with { type: "text" };
import theme from "../../plugins/shared/theme.css" with { type: "text" };
import style from "./style.css" with { type: "text" };

/** `server.use(look)` serves them beside a page. */
export const look: Plugin = {
  name: "look",
  routes(app) {
    app.get("/style.css", (c) => c.body(theme + style, 200, { "content-type": "text/css; charset=utf-8" }));
    app.get("/icon.svg", (c) => c.body(icon, 200, { "content-type": "image/svg+xml" }));
  },
};
