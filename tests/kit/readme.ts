import { root } from "./example.ts";

/** The READMEs and their texts. */
export const readmes: ReadonlyMap<string, string> = new Map(
  [
    "README.md",
    "core/README.md",
    "plugins/README.md",
    "plugins/client/README.md",
    "plugins/protocols/README.md",
    "plugins/servers/README.md",
    "examples/README.md",
    "examples/deploy/README.md",
    "tests/README.md",
  ].map((path) => [path, Deno.readTextFileSync(new URL(path, root))]),
);

/** All of them together. */
const all = [...readmes.values()].join("\n");

/** A code block of a README. */
export interface Snippet {
  /** The heading above it, or the bold word at the beginning of the paragraph before it. */
  readonly title: string;
  readonly language: string;
  readonly code: string;
}

/** Returns the code blocks, in order. */
export function snippets(text = all): Snippet[] {
  const found: Snippet[] = [];
  let title = "";
  let open: { language: string; lines: string[] } | undefined;
  for (const line of text.split("\n")) {
    if (line.startsWith("```")) {
      if (open === undefined) open = { language: line.slice(3), lines: [] };
      else {
        found.push({ title, language: open.language, code: open.lines.join("\n") + "\n" });
        open = undefined;
      }
    } else if (open !== undefined) open.lines.push(line);
    else title = line.match(/^#+ (.+)/)?.[1] ?? line.match(/^\*\*([^*]+)\*\*/)?.[1] ?? title;
  }
  return found;
}

/** Returns the text below a heading, up to the next one of its level. */
export function section(heading: string): string {
  const [, below] = all.split(`\n## ${heading}\n`);
  if (below === undefined) throw new Error(`No README has the section "${heading}"`);
  return below.split(/\n##? /)[0]!;
}
