/**
 * The tables of settings in the documentation, from the schema of configuration files.
 *
 * @module
 */

import { options } from "../../plugins/servers/configured/flags.ts";
import { root } from "./example.ts";

/** The file with the tables. */
export const TABLES = new URL("examples/deploy/README.md", root);

/** What surrounds the tables. */
const [BEGIN, END] = ["<!-- deno task schema makes these tables -->\n", "<!-- until here -->\n"];

/** Returns the documentation with the tables as they should be. */
export function withTables(text: string): string {
  const [before, rest] = text.split(BEGIN);
  const [, after] = rest?.split(END) ?? [];
  if (after === undefined) throw new Error("The documentation has no place for the tables");
  return before + BEGIN + tables() + END + after;
}

function tables(): string {
  const rows = (limits: boolean) =>
    [...options].filter(([name]) => name.startsWith("LIMIT_") === limits).map(([name, { path, setting }]) => {
      const { fallback, help } = setting;
      const given = typeof fallback === "object" || fallback === undefined ? "" : String(fallback);
      const what = help.replaceAll("|", "\\|");
      return `| \`${name}\` | ${limits ? "" : `\`${path.join(".")}\` | `}${given} | ${what} |`;
    }).join("\n");
  return `
| variable | in the file | default | what |
|---|---|---|---|
| \`CONFIG\` | | plugboard.json | Configuration file |
${rows(false)}

Each limit for clients has a setting, and a default that normal apps do not reach. In the file they are in \`limits\`. A rate is \`600/1m\`, or \`off\`:

| variable | default | what |
|---|---|---|
${rows(true)}

`;
}
