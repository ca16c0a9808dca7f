/**
 * The page with the options and the service of each plugin, from their documentation.
 *
 * @module
 */

import config from "../../deno.json" with { type: "json" };
import { root } from "./example.ts";

/** The page. */
export const REFERENCE = new URL("plugins/REFERENCE.md", root);

/** A member of an interface. */
interface Member {
  /** The declaration without its `;`. */
  readonly text: string;
  readonly name: string;
  readonly required: boolean;
  readonly fallback: string;
  readonly what: string;
}

interface Interface {
  readonly file: string;
  readonly parents: readonly string[];
  readonly members: readonly Member[];
}

/** Returns the page as it should be. */
export function reference(): string {
  const files = sourcesIn("plugins/");
  const interfaces = new Map<string, Interface[]>();
  for (const file of files) {
    for (const [name, found] of interfacesOf(file)) {
      interfaces.set(name, [...interfaces.get(name) ?? [], found]);
    }
  }
  const plugins = Object.entries(config.exports).filter(([, path]) =>
    /^\.\/plugins\/(\w+\/)?\w+\.ts$/.test(path)
  );
  const mentioned = new Map<string, Interface>();
  const services = new Set<string>();
  const sections = plugins.flatMap(([name, path]) => {
    const { text, types, service } = sectionOf(name.slice(2), path.slice(2), interfaces);
    for (const [type, found] of types) mentioned.set(type, found);
    services.add(service);
    return text === "" ? [] : [text];
  });
  const types = [...mentioned].filter(([type]) => !services.has(type)).sort(([a], [b]) => a < b ? -1 : 1);
  const tables = types.map(([type, { members }]) => `### ${type}\n\n${tableOf("member", members)}`);
  return `# Options and services

The options of each plugin, and what \`server.use\` returns for it, from the documentation in the code. \`deno task docs\` writes this
page. [Plugins](README.md) says what each is for. Options in bold are required. [Types](#types) has the interfaces that are named here.

${sections.join("\n")}
## Types

${tables.join("\n")}`;
}

/** The names of types in a declaration. */
function namesIn(text: string): string[] {
  return [...text.matchAll(/\b[A-Z]\w+/g)].map(([name]) => name);
}

function tableOf(heading: string, members: readonly Member[]): string {
  const rows = members.map(({ text, what, fallback }) =>
    `| \`${text.replaceAll("|", "\\|")}\` | ${what}${fallback && ` Default: \`${fallback}\`.`} |`
  );
  return [`| ${heading} | what |\n|---|---|`, ...rows, ""].join("\n");
}

function sectionOf(
  name: string,
  path: string,
  interfaces: Map<string, Interface[]>,
): { text: string; types: readonly [string, Interface][]; service: string } {
  const source = read(path);
  const near = (type: string) => {
    const all = interfaces.get(type) ?? [];
    return all.find(({ file }) => file === path) ??
      all.find(({ file }) => file.startsWith(`${path.slice(0, -3)}/`)) ??
      all[0];
  };
  const membersOf = (type: string): Member[] => {
    const found = near(type);
    return found === undefined ? [] : [...found.parents.flatMap(membersOf), ...found.members];
  };
  const [, options] = source.match(/^export interface (\w+(?:Options|Config)) /m) ?? [];
  const names = options === undefined ? exportedConfigs(source) : [options];
  const taken = names.flatMap(membersOf).filter((each, i, all) =>
    all.findIndex((b) => b.name === each.name) === i
  );
  const [, api] = source.match(/\): Plugin<(\w+)> \{$/m) ?? [];
  const offered = api === undefined ? [] : membersOf(api);
  const types = [...taken, ...offered].flatMap(({ text }) => namesIn(text)).flatMap((
    type,
  ): [string, Interface][] => {
    const found = near(type);
    return found === undefined || found.members.length === 0 ? [] : [[type, found]];
  });
  if (taken.length === 0 && offered.length === 0) return { text: "", types, service: "" };
  const rows = taken.map(({ text, name, required, fallback, what }) => {
    const type = text.replace(/^\w+\??/, "").replace(/^: /, "").replace(/^(?=\()/, "").replaceAll("|", "\\|");
    return `| ${required ? `**\`${name}\`**` : `\`${name}\``} | \`${type}\` | ${
      fallback && `\`${fallback}\``
    } | ${what} |`;
  });
  const text = [
    `## ${name}\n`,
    ...taken.length > 0 ? ["| option | type | default | what |\n|---|---|---|---|", ...rows, ""] : [],
    ...offered.length > 0 ? [tableOf("its service has", offered)] : [],
  ].join("\n");
  return { text, types, service: api ?? "" };
}

/** Returns the names of the exported configurations. */
function exportedConfigs(source: string): string[] {
  return [...source.matchAll(/^export type \{([^}]*)\}/gm)].flatMap(([, names]) => names!.split(","))
    .map((name) => name.trim()).filter((name) => name.endsWith("Config"))
    .sort((a, b) => Number(b.includes("Server")) - Number(a.includes("Server")));
}

/** Returns the interfaces of a file. The formatter indents their members by two spaces. */
function interfacesOf(file: string): [string, Interface][] {
  const found: [string, Interface][] = [];
  for (
    const [, name, , parents = "", body = ""] of read(file).matchAll(
      /^export interface (\w+)(<[^{]*>)?(?:\s+extends\s+([^{]*?))?\s*\{(?:\}|\n([^]*?)^\})/gm,
    )
  ) {
    const types = parents.replaceAll(/(?:Pick|Omit|Partial|Required)</g, "").split(/[,\s]+/).map((each) =>
      each.match(/^[A-Z]\w*/)?.[0]
    );
    found.push([name!, { file, parents: types.flatMap((each) => each ?? []), members: membersIn(body) }]);
  }
  return found;
}

function membersIn(body: string): Member[] {
  return [
    ...body.matchAll(/^ {2}\/\*\*([^]*?)\*\/\n((?: {2}\S[^]*?);)(?=\n\n? {2}\/\*\*|\n\n? {2}\/\/|\n$)/gm),
  ].flatMap(
    ([, doc = "", declaration = ""]) => {
      const text = declaration.replaceAll(/\s+/g, " ").replace(/;$/, "").replaceAll("( ", "(").replaceAll(
        /,? \)/g,
        ")",
      ).trim().replace(
        /^(readonly|get) /,
        "",
      );
      const [, name, optional] = text.match(/^(\w+)(\?)?/) ?? [];
      if (name === undefined) return [];
      const lines = doc.replaceAll(/\n\s*\* ?/g, " ").trim();
      const [, fallback = ""] = lines.match(/@default \{((?:[^{}]|\{[^}]*\})*)\}/) ?? [];
      const what = plain(
        lines.replaceAll(/ ?@default \{(?:[^{}]|\{[^}]*\})*\}/g, "").replaceAll(
          / ?@(?:minimum|maximum|pattern) \S+/g,
          "",
        ),
      );
      return [{ text, name, required: optional === undefined, fallback: cell(fallback), what }];
    },
  );
}

/** Writes documentation as the cell of a table. */
function plain(doc: string): string {
  return cell(doc.replaceAll(/\{@linkcode ([^}]+)\}/g, "`$1`"));
}

function cell(text: string): string {
  return text.replaceAll(/\s+/g, " ").replaceAll("|", "\\|").trim();
}

function read(path: string): string {
  return Deno.readTextFileSync(new URL(path, root));
}

function sourcesIn(folder: string): string[] {
  return [...Deno.readDirSync(new URL(folder, root))].flatMap(({ name, isDirectory }) =>
    isDirectory ? sourcesIn(`${folder}${name}/`) : name.endsWith(".ts") ? [folder + name] : []
  ).sort();
}

if (import.meta.main) await Deno.writeTextFile(REFERENCE, reference());
