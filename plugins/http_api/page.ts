import type { App } from "../../core/mod.ts";
import { asset } from "../shared/asset.ts";
import theme from "../shared/theme.css" with { type: "text" };
import page from "./page.html" with { type: "text" };
import script from "./page.js" with { type: "text" };
import style from "./page.css" with { type: "text" };

/** The page runs only its own script, and sends requests only to this server. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; base-uri 'none'; " +
  "form-action 'none'; frame-ancestors 'none'";

/** Serves the OpenAPI document, and a page to try the methods. */
export function addPage(app: App, path: string, document: () => object): void {
  // Relative, so that a proxy can serve the page below any path.
  const html = page.replaceAll("{{path}}", path).replaceAll(
    "{{base}}",
    path.slice(path.lastIndexOf("/") + 1),
  );
  const files = {
    [path]: asset("text/html", () => html, { "content-security-policy": POLICY }),
    [`${path}/openapi.json`]: asset("application/json", () => JSON.stringify(document())),
    [`${path}/page.css`]: asset("text/css", () => theme + style),
    [`${path}/page.js`]: asset("text/javascript", () => script),
  };
  for (const [route, answer] of Object.entries(files)) app.get(route, (c) => answer(c.req.raw));
}
