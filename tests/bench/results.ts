/** The last committed results: `RESULTS.md`, with a section for each scenario. */

const FILE = new URL("./RESULTS.md", import.meta.url);

const HEAD = `# Results of the bench

Medians of the rounds. CPU µs each is the server's own time; ratios compare the contenders of one round. \`deno task bench --save\`
writes the sections of the scenarios that it measures.
`;

/** Figures that stand for a result: the first of these columns that has a value, and a ratio. */
const FIGURES = ["CPU µs each", "p99 ms", "p50 ms", "times", "KiB each", "per second"];
const RATIO = "× bare";

/** The result of each contender in each case, by {@linkcode keyOf}. */
export type Results = ReadonlyMap<string, string>;

/** Names a result. */
export function keyOf(name: string, contender: string): string {
  return `${name}\n${contender}`;
}

/** Reads the file; empty if there is none. */
export function readResults(): string {
  try {
    return Deno.readTextFileSync(FILE);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return HEAD;
    throw error;
  }
}

/** Parses the tables of the file. */
export function parseResults(text: string): Results {
  const results = new Map<string, string>();
  let titles: string[] | undefined;
  let name = "";
  for (const line of text.split("\n")) {
    const cells = line.startsWith("|") ? line.slice(1, -1).split("|").map((cell) => cell.trim()) : undefined;
    if (cells === undefined) titles = undefined;
    else if (titles === undefined) titles = cells;
    else if (!cells[0]!.startsWith("---")) {
      const row = new Map(titles.map((title, i) => [title, cells[i] ?? ""]));
      name = row.get("case") || name;
      const figure = FIGURES.map((title) => row.get(title)).find(Boolean) ?? "";
      const ratio = row.get(RATIO) ? ` (${row.get(RATIO)} × bare)` : "";
      results.set(keyOf(name, row.get("contender")!), figure + ratio);
    }
  }
  return results;
}

/** Returns the text of the file with another section for a scenario. */
export function withSection(text: string, scenario: string, section: string): string {
  const title = `\n## ${scenario}\n`;
  const start = text.indexOf(title);
  const rest = start < 0 ? -1 : text.indexOf("\n## ", start + title.length);
  const before = start < 0 ? text : text.slice(0, start);
  return `${before}${title}\n${section}\n${rest < 0 ? "" : text.slice(rest)}`;
}

/** Writes the file. */
export function writeResults(text: string): void {
  Deno.writeTextFileSync(FILE, text);
}
