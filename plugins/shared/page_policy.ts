import { createHash } from "node:crypto";

/**
 * Returns a content security policy that runs only the page's own scripts. The only inline script is the import map, by
 * its hash.
 */
export function pagePolicy(html: string): string {
  const [importMap = ""] = html.match(/(?<=<script type="importmap">)[^<]*/) ?? [];
  const hash = createHash("sha256").update(importMap).digest("base64");
  return `default-src 'none'; script-src 'self' 'sha256-${hash}'; style-src 'self'; img-src 'self'; ` +
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
}
