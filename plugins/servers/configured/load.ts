/**
 * Loads the options: from flags, the environment, `.env`, and a file, in that order.
 *
 * @module
 */

import { dirname, isAbsolute, join, relative, sep } from "node:path";
import { flagOf, PlugboardError, readArguments, setting, suggestion } from "../../../core/mod.ts";
import { type Environment, type FileContent, parseFile } from "./file.ts";
import { options, parseOption, variableOf } from "./flags.ts";
import { type Path, pathText, problemsOf } from "./problems.ts";
import { isSecret, schema, schemaAt } from "./schema.ts";
import type { Configuration, Settings } from "./settings.ts";
import { type WiringOptions, wiringOptions } from "./wiring.ts";

/** Where options come from. */
export interface Sources {
  /** The arguments. */
  readonly args: readonly string[];
  /** Returns a variable of the environment. */
  readonly env: Environment;
  /** Whether the program may read the environment. @default {true} */
  readonly envIsRead?: boolean;
  /** Returns a variable of the file `.env`. */
  readonly dotEnv: Environment;
  /** The names in the file `.env`. */
  readonly dotEnvNames?: readonly string[];
  /** Returns the text of a file; `undefined` if there is none. */
  readonly read: (path: string) => string | undefined;
  /** Returns the sources as they are later. */
  readonly again?: () => Sources;
}

/** The loaded options. */
export interface Loaded {
  /** The options, with defaults. */
  readonly settings: Settings;
  /** What the plugins get. */
  readonly options: WiringOptions;
  /** The path of the file, if there is one. */
  readonly file: string | undefined;
  /** Loads them again: the file and `.env` may have changed. */
  again(): Loaded;
  /** Returns the name of an option as it was given: `--tls-key`, `TLS_KEY`, or `tlsKey` for one in a file. */
  nameOf(option: keyof Settings): string;
  /** Lines that say each value and where it comes from, without secrets. */
  lines(): string[];
  /** Sentences about what is probably a mistake. */
  readonly warnings: readonly string[];
}

/** The name of the file, if no other is given. */
const FILE = "plugboard.json";

const NO_ENV =
  "The program may not read the environment, so variables such as PORT and JWT_SECRET do nothing; " +
  "start it with deno task start, or with the flag -P";

/** Options that are paths of files or folders. In a file, they are relative to it. */
const PATHS = ["tlsCert", "tlsKey", "dataDir", "migrations", "pages"] as const;

/** The flags that are not options. */
export const GENERAL = {
  CONFIG: setting.text(FILE, "Configuration file"),
  HELP: setting.flag("Show this help"),
  PRINT_CONFIG: setting.flag("Show each option with where it comes from, without secrets"),
};

/** Loads the options. Throws sentences, each on a line, if they are wrong. */
export function load(sources: Sources, more: Record<string, { bare: boolean }> = {}): Loaded {
  const { args, env, dotEnv, read } = sources;
  const table = Object.fromEntries(Array.from(options, ([name, { setting }]) => [name, setting]));
  const { flags } = readArguments({ ...table, ...GENERAL, ...more }, args);
  const variable: Environment = (name) => env(name) ?? dotEnv(name);
  const named = flags.get("CONFIG") ?? variable("CONFIG");
  const path = named || FILE;
  const text = read(path);
  if (text === undefined && named) throw new PlugboardError("bad_setting", `There is no file ${path}`);
  const content: FileContent = text === undefined
    ? { value: {}, references: new Map() }
    : parseFile(path, text, variable);
  if (text !== undefined) checkFile(path, content);

  const given = relativeTo(dirname(path), content.value as Configuration);
  const origins = new Map<string, string>();
  for (const [name, option] of options) {
    const [value, origin] = [
      [flags.get(name), "flag"],
      [env(name), "environment"],
      [dotEnv(name), ".env"],
    ].find(([value]) => value !== undefined && value !== "") ?? [];
    if (value === undefined) continue;
    const parsed = parseOption(name, option, value, origin === "flag" ? flagOf(name) : name);
    put(given, option.path, parsed);
    for (const [at] of leaves(parsed, option.path)) origins.set(pathText(at), origin!);
  }
  const defaults = Object.entries(schema.properties).flatMap(([name, of]) =>
    of.default === undefined ? [] : [[name, structuredClone(of.default)]]
  );
  const settings = { ...Object.fromEntries(defaults), ...given } as unknown as Settings;
  checkPages(settings, text === undefined ? undefined : path);
  return {
    settings,
    get options() {
      return wiringOptions(settings);
    },
    file: text === undefined ? undefined : path,
    warnings: [
      ...(sources.envIsRead === false ? [NO_ENV] : []),
      ...misspelled(sources.dotEnvNames ?? [], text ?? ""),
    ],
    nameOf(option) {
      if (origins.get(option) === "flag") return flagOf(variableOf([option]));
      return !origins.has(option) && option in (content.value as object) ? option : variableOf([option]);
    },
    again: () => load(sources.again?.() ?? sources, more),
    lines: () => {
      const isEmpty = (value: unknown) => typeof value === "object" && !Array.isArray(value);
      return [...leaves(settings, [])].filter(([, value]) => !isEmpty(value)).map(([at, value]) => {
        const other = origins.get(pathText(at));
        const origin = other ?? (at[0]! in (content.value as object) ? path : "default");
        const { references } = content;
        return `${pathText(at)} = ${
          shown(at, value, other === undefined ? references : new Map())
        }  (${origin})`;
      });
    },
  };
}

/** Names in `.env` that are almost a setting. Others belong to other programs, or to the file. */
function misspelled(names: readonly string[], file: string): string[] {
  const known = [...options.keys(), "CONFIG"];
  return names.flatMap((name) => {
    if (known.includes(name) || file.includes(`\${${name}}`)) return [];
    const nearest = suggestion(name, known, Math.min(3, Math.floor(name.length / 3)));
    if (nearest !== undefined) return `.env: ${name} is not a setting; did you mean ${nearest}?`;
    return name.startsWith("LIMIT_") ? `.env: ${name} is not a setting; see --help` : [];
  });
}

/** What is served must contain neither the file, the database nor the private key. */
function checkPages({ pages, dataDir, tlsKey }: Settings, file: string | undefined): void {
  if (pages === undefined) return;
  for (const path of [file, dataDir, tlsKey]) {
    const way = path ? relative(pages, path) : "..";
    if (way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way)) {
      throw new PlugboardError(
        "bad_setting",
        `pages: the folder ${pages} must not contain ${path}, since all of it is served`,
      );
    }
  }
}

function checkFile(path: string, { value, references }: FileContent): void {
  const problems = [...problemsOf(value, (at) => references.has(pathText(at)))];
  for (const [at] of leaves(value, [])) {
    if (schemaAt(at)?.reference !== true || references.has(pathText(at))) continue;
    problems.push({ path: at, sentence: "must come from the environment: write ${NAME}, or use hash" });
  }
  for (const [name, key] of Object.entries(Object((value as Configuration | null)?.apiKeys))) {
    if ("key" in Object(key) || "hash" in Object(key)) continue;
    problems.push({ path: ["apiKeys", name], sentence: "needs a key or a hash" });
  }
  if (problems.length === 0) return;
  const lines = problems.map(({ path: at, sentence }) =>
    at.length === 0 ? `${path} ${sentence}` : `${path}: ${pathText(at)} ${sentence}`
  );
  throw new PlugboardError("bad_setting", lines.join("\n"));
}

function relativeTo(folder: string, value: Configuration): Record<string, unknown> {
  const given: Record<string, unknown> = { ...value };
  for (const name of PATHS) {
    const path = value[name];
    if (path !== undefined && !isAbsolute(path)) given[name] = join(folder, path);
  }
  return given;
}

/** Sets an option. What a file says about other names of the same table stays. */
function put(given: Record<string, unknown>, [name, inner]: readonly string[], value: unknown): void {
  const before = given[name!];
  const isTable = typeof before === "object" && before !== null && !Array.isArray(before);
  if (inner !== undefined) {
    if (before !== "off") given[name!] = { ...isTable && before, [inner]: value };
  } else if (isTable && typeof value === "object") given[name!] = { ...before, ...value };
  else if (value !== "on" || !isTable) given[name!] = value;
}

function* leaves(value: unknown, path: Path): Generator<[Path, unknown]> {
  const entries = typeof value === "object" && value !== null && !Array.isArray(value)
    ? Object.entries(value)
    : [];
  if (entries.length === 0) yield [path, value];
  for (const [key, each] of entries) yield* leaves(each, [...path, key]);
}

function shown(path: Path, value: unknown, references: FileContent["references"]): string {
  if (isSecret(path)) return String(value) === "" ? "" : "(hidden)";
  const text = pathText(path);
  const written = [...references].filter(([at]) => at === text || at.startsWith(`${text}.`));
  if (written.length > 0) return written.map(([, each]) => each).join(",");
  return Array.isArray(value)
    ? value.map((each) => typeof each === "object" ? "{…}" : each).join(",")
    : String(value);
}
