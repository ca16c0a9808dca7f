/**
 * The files of the page. They are part of the program, and nothing is built or fetched from elsewhere.
 *
 * @module
 */

import { asset } from "../shared/asset.ts";
import icon from "../shared/icon.svg" with { type: "text" };
import { pagePolicy } from "../shared/page_policy.ts";
import theme from "../shared/theme.css" with { type: "text" };
import address from "./app/address.js" with { type: "text" };
import channel from "./app/channel.js" with { type: "text" };
import chart from "./app/chart.js" with { type: "text" };
import client from "./app/client.js" with { type: "text" };
import figures from "./app/figures.js" with { type: "text" };
import format from "./app/format.js" with { type: "text" };
import json from "./app/json.js" with { type: "text" };
import main from "./app/main.js" with { type: "text" };
import overview from "./app/overview.js" with { type: "text" };
import queries from "./app/queries.js" with { type: "text" };
import queues from "./app/queues.js" with { type: "text" };
import rowForm from "./app/row_form.js" with { type: "text" };
import rows from "./app/rows.js" with { type: "text" };
import search from "./app/search.js" with { type: "text" };
import send from "./app/send.js" with { type: "text" };
import server from "./app/server.js" with { type: "text" };
import settings from "./app/settings.js" with { type: "text" };
import signIn from "./app/sign_in.js" with { type: "text" };
import tables from "./app/tables.js" with { type: "text" };
import tail from "./app/tail.js" with { type: "text" };
import ui from "./app/ui.js" with { type: "text" };
import verdict from "./app/verdict.js" with { type: "text" };
import page from "./page.html" with { type: "text" };
import baseStyle from "./style/base.css" with { type: "text" };
import listsStyle from "./style/lists.css" with { type: "text" };
import partsStyle from "./style/parts.css" with { type: "text" };
import viewsStyle from "./style/views.css" with { type: "text" };

/** Where the page and the API are. */
export interface Places {
  readonly path: string;
  readonly apiPath: string;
  /** Whether everyone on this machine may do everything. */
  readonly open: boolean;
}

/** The modules of the page. */
const APP = {
  address,
  channel,
  chart,
  client,
  figures,
  format,
  json,
  main,
  overview,
  queries,
  queues,
  row_form: rowForm,
  rows,
  search,
  send,
  server,
  settings,
  sign_in: signIn,
  tables,
  tail,
  ui,
  verdict,
};

/** The style sheet, with what is special behind what is general. */
const STYLE = theme + baseStyle + partsStyle + listsStyle + viewsStyle;

/** The libraries. An import makes them part of the bundle, and loads them on the first request. */
const LIBRARIES: Readonly<Record<string, () => Promise<{ default: string }>>> = {
  "preact.js": () => import("preact", { with: { type: "text" } }),
  "hooks.js": () => import("preact/hooks", { with: { type: "text" } }),
  "signals.js": () => import("@preact/signals", { with: { type: "text" } }),
  "signals-core.js": () => import("@preact/signals-core", { with: { type: "text" } }),
  "htm.js": () => import("htm", { with: { type: "text" } }),
  "centrifuge.js": () => import("centrifuge", { with: { type: "text" } }),
  "uplot.js": () => import("uplot/dist/uPlot.iife.min.js", { with: { type: "text" } }),
  "uplot.css": () => import("uplot/dist/uPlot.min.css", { with: { type: "text" } }),
};

/** Returns the answers to requests, by path. */
export function files({ path, apiPath, open }: Places): [string, ReturnType<typeof asset>][] {
  // Relative, so that a proxy can serve the page below any path.
  const html = page.replaceAll("{{base}}", path.slice(path.lastIndexOf("/") + 1))
    .replaceAll("{{root}}", "../".repeat(path.split("/").length - 2) || "./")
    .replaceAll("{{api}}", apiPath.slice(1))
    .replaceAll("{{open}}", String(open));
  const javascript = (load: () => string | Promise<string>) => asset("text/javascript", load);
  return [
    [path, asset("text/html", () => html, { "content-security-policy": pagePolicy(html) })],
    [`${path}/style.css`, asset("text/css", () => STYLE)],
    [`${path}/icon.svg`, asset("image/svg+xml", () => icon)],
    ...Object.entries(APP).map(([name, text]) => {
      return [`${path}/app/${name}.js`, javascript(() => text)] as [string, ReturnType<typeof asset>];
    }),
    ...Object.entries(LIBRARIES).map(([name, load]) => {
      const text = async () => (await load()).default;
      const answer = name.endsWith(".css") ? asset("text/css", text) : javascript(text);
      return [`${path}/lib/${name}`, answer] as [string, ReturnType<typeof asset>];
    }),
  ];
}
