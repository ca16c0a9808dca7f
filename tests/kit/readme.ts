import { root } from "./example.ts";

/** The README's text. */
export const readme = Deno.readTextFileSync(new URL("README.md", root));

/** A code block of the README. */
export interface Snippet {
  /** The heading above it, or the bold word at the beginning of the paragraph before it. */
  readonly title: string;
  readonly language: string;
  readonly code: string;
}

/** Returns the code blocks, in order. */
export function snippets(text = readme): Snippet[] {
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

/** Returns the text below a heading, up to the next one of the same level. */
export function section(heading: string): string {
  const [, below] = readme.split(`\n## ${heading}\n`);
  if (below === undefined) throw new Error(`The README has no section "${heading}"`);
  return below.split("\n## ")[0]!;
}
