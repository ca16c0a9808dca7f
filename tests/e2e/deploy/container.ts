/**
 * Builds the image of a Dockerfile without Docker: each stage is a folder. It supports only the commands that our files
 * use and refuses others.
 */

import assert from "node:assert/strict";
import { deno, root } from "../../kit/example.ts";

/** An image: the files of its last stage and how to run it. */
export interface Image extends AsyncDisposable {
  /** The root folder of the image. */
  readonly files: string;
  readonly workdir: string;
  readonly user: string;
  readonly env: Record<string, string>;
  /** The runtime inside the image. Its user may not be allowed to run the one that builds it. */
  readonly program: string;
  /** Deno's arguments, from `run` on. */
  readonly entrypoint: string[];
  readonly healthcheck: string[];
}

interface Stage {
  readonly files: string;
  workdir: string;
  /** The last value of each other instruction. */
  readonly values: Map<string, string>;
  readonly env: Record<string, string>;
}

/** The path at which npm installs the executable. */
const DENO = "/usr/local/lib/node_modules/deno/deno";

/** Builds the image of a Dockerfile in `examples/deploy`, with the project as its context. */
export async function buildImage(path: string): Promise<Image> {
  const folder = await Deno.makeTempDir();
  await Deno.chmod(folder, 0o755); // the image runs as another user
  const ignore = Deno.readTextFileSync(new URL(`examples/deploy/${path}.dockerignore`, root)).split("\n");
  assert.equal(ignore[0], "*", "the context must list the needed files only");
  const context = new Set(ignore.filter((line) => line.startsWith("!")).map((line) => line.slice(1)));
  const stages = new Map<string, Stage>();
  let stage: Stage | undefined;
  for (const [instruction, value] of instructions(path)) {
    if (instruction === "FROM") {
      const [, name = "image"] = value.split(" AS ");
      stage = { files: `${folder}/${stages.size}`, workdir: "/", values: new Map(), env: {} };
      stages.set(name, stage);
      await Deno.mkdir(stage.files);
      continue;
    }
    assert.ok(stage !== undefined, "a Dockerfile starts with FROM");
    if (instruction === "WORKDIR") {
      stage.workdir = value;
      await Deno.mkdir(stage.files + value, { recursive: true });
    } else if (instruction === "COPY") await copy(value, stage, stages, context);
    else if (instruction === "RUN") await run(value.split(" "), stage);
    else if (instruction === "ENV") {
      for (const pair of value.split(" ")) stage.env[pair.split("=")[0]!] = pair.split("=")[1]!;
    } else stage.values.set(instruction, value);
  }
  const { files, workdir, env, values } = stage!;
  const [program, ...entrypoint]: string[] = JSON.parse(values.get("ENTRYPOINT")!);
  const [checker, ...healthcheck]: string[] = JSON.parse(
    values.get("HEALTHCHECK")!.replace(/^[^[]*CMD /, ""),
  );
  assert.deepEqual([program, checker], ["deno", "deno"]);
  assert.ok(Deno.lstatSync(`${files}/usr/local/bin/deno`).isFile, "the runtime is not in the path");
  return {
    ...{ files, workdir, env, entrypoint, healthcheck, user: values.get("USER") ?? "root" },
    program: `${files}/usr/local/bin/deno`,
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

function instructions(path: string): [instruction: string, value: string][] {
  const text = Deno.readTextFileSync(new URL(`examples/deploy/${path}`, root)).replace(/\\\n\s*/g, "");
  return text.split("\n").filter((line) => line !== "" && !line.startsWith("#")).map((line) => {
    const [, instruction, value] = line.match(/^([A-Z]+) (.*)$/) ?? assert.fail(`cannot read ${line}`);
    return [instruction!, value!];
  });
}

async function copy(value: string, stage: Stage, stages: Map<string, Stage>, context: Set<string>) {
  const words = value.split(" ");
  const flags = words.filter((word) => word.startsWith("--"));
  const sources = words.filter((word) => !word.startsWith("--"));
  const target = sources.pop()!;
  const owner = flags.find((flag) => flag.startsWith("--chown="))?.slice("--chown=".length);
  const from = flags.find((flag) => flag.startsWith("--from="))?.slice("--from=".length);
  for (const source of sources) {
    if (from === undefined) assert.ok(context.has(source), `${source} is not in the context`);
    const path = from === undefined ? new URL(source, root).pathname : stages.get(from)!.files + source;
    const to = target.endsWith("/") ? `${target}${source.split("/").at(-1)}` : target;
    const place = to.startsWith("/") ? stage.files + to : `${stage.files}${stage.workdir}/${to}`;
    await Deno.mkdir(place.slice(0, place.lastIndexOf("/")), { recursive: true });
    await command("cp", ["-rP", path, place]);
    if (owner !== undefined && Deno.uid() === 0) await command("chown", ["-R", owner, place]);
  }
}

async function run([program = "", ...args]: string[], stage: Stage): Promise<void> {
  const cwd = stage.files + stage.workdir;
  if (program === "deno") {
    const { success, stderr } = await deno(args, { cwd }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
  } else if (program === "mkdir") await Deno.mkdir(`${cwd}/${args[0]}`);
  else {
    assert.deepEqual([program, ...args], ["npm", "install", "--global", `deno@${Deno.version.deno}`]);
    await Deno.mkdir(stage.files + DENO.slice(0, DENO.lastIndexOf("/")), { recursive: true });
    await Deno.copyFile(Deno.execPath(), stage.files + DENO);
  }
}

async function command(program: string, args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args, stderr: "piped" }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
}
