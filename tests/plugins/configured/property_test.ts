/** Any valid file starts a server, and no invalid one does. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { PlugboardError } from "../../../core/mod.ts";
import { plugboard } from "../../../main.ts";
import { load } from "../../../plugins/servers/configured/load.ts";
import { hasType, type Schema, schema } from "../../../plugins/servers/configured/schema.ts";

/** Texts that a schema does not describe, by the names of their options. Others are left out. */
const TEXTS: Readonly<Record<string, readonly string[]>> = {
  url: ["http://127.0.0.1:1/a"],
  secrets: ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
  sql: ["SELECT 1 AS one"],
  channel: ["news"],
  every: ["0 7 * * *"],
  timezone: ["Europe/Berlin"],
  namespaces: ["news", ""],
  jwtSecret: ["a secret of more than thirty-two bytes"],
  allowedOrigins: ["https://example.com"],
  trustedProxies: ["loopback", "10.0.0.0/8"],
  user: ["robot"],
  hash: [`sha256:${"0".repeat(64)}`],
  httpHeaders: ["cookie"],
  message: ["No"],
  reason: ["No"],
  secretNames: ["pin"],
};

/** Options that need another service, another option, a folder, or all of the machine. */
const LEFT_OUT =
  /^(\$schema|requireToken|redisUrl|jwksUrl|tls\w+|adminPort|migrations|pages|key|signIn|workers|nodeAddress|schemas|statuses|owner|dataDir|host|adminHost|maxMemory|required|params)$/;

/** Makes values that a schema describes; `undefined` for what it does not describe well enough. */
function valuesOf(name: string, of: Schema): fc.Arbitrary<unknown> | undefined {
  if (of.enum !== undefined) return fc.constantFrom(...of.enum);
  if (of.anyOf !== undefined) {
    const made = of.anyOf.flatMap((each) => valuesOf(name, each) ?? []);
    return made.length === 0 ? undefined : fc.oneof(...made);
  }
  if (hasType(of, "boolean")) return fc.boolean();
  if (hasType(of, "integer")) {
    const from = typeof of.default === "number"
      ? of.default
      : name === "maxBytes"
      ? 100_000_000
      : Math.max(of.minimum ?? 0, 1_000);
    return fc.integer({ min: from, max: Math.min(from + 9, of.maximum ?? Infinity) });
  }
  if (hasType(of, "array")) {
    const items = of.items && valuesOf(name, of.items);
    return items && fc.array(items, { minLength: 1, maxLength: 2 });
  }
  if (hasType(of, "object")) {
    if (of.properties !== undefined) return objectOf(of);
    const own = typeof of.additionalProperties === "object"
      ? valuesOf("", of.additionalProperties)
      : undefined;
    return own && fc.dictionary(fc.constantFrom("alpha", "beta", "gamma"), own, { maxKeys: 2 });
  }
  const texts = TEXTS[name] ?? (of.pattern === undefined ? [] : of.examples as string[] ?? []);
  return texts.length === 0 ? undefined : fc.constantFrom(...texts);
}

function objectOf({ properties = {}, required = [] }: Schema): fc.Arbitrary<unknown> | undefined {
  const made = Object.entries(properties).flatMap(([name, each]) => {
    const values = LEFT_OUT.test(name) ? undefined : name === "data" ? fc.jsonValue() : valuesOf(name, each);
    return values === undefined ? [] : [[name, values] as const];
  });
  if (required.some((name) => !made.some(([known]) => known === name))) return undefined;
  const needed = [...required, ...(properties.hash === undefined ? [] : ["hash"])];
  return fc.record(Object.fromEntries(made), { requiredKeys: needed as never[] });
}

const files = objectOf(schema) as fc.Arbitrary<Record<string, unknown>>;

const read = (file: unknown, dataDir: string) =>
  load({
    args: ["--port", "0", "--data-dir", dataDir, "--log-level", "error"],
    env: () => undefined,
    dotEnv: () => undefined,
    read: (path) => path === "plugboard.json" ? JSON.stringify(file) : undefined,
  });

Deno.test("B21 a random valid file starts, and stops", async () => {
  const folder = await Deno.makeTempDir();
  let run = 0;
  try {
    await fc.assert(
      fc.asyncProperty(files, async (file) => {
        const server = plugboard(read(file, `${folder}/${run++}`));
        try {
          await server.start();
        } finally {
          await server.stop();
        }
      }),
      { numRuns: 12, endOnFailure: true },
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** The paths of all values of a file. */
function pathsOf(value: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== "object" || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([key, each]) => pathsOf(each, [...path, key]))];
}

/** Sets a value within a copy of a file. */
function changed(file: unknown, path: readonly string[], value: unknown): unknown {
  const [step, ...rest] = path;
  if (step === undefined) return value;
  const copy = structuredClone(file) as Record<string, unknown>;
  copy[step] = changed(copy[step], rest, value);
  return copy;
}

Deno.test("B21 a random invalid file is refused with sentences, never with a stack", () => {
  fc.assert(
    fc.property(
      files,
      fc.nat(),
      fc.constantFrom<unknown>(null, -1, 1.5, [[]], { x: { y: 1 } }),
      (file, at, wrong) => {
        const paths = pathsOf(file).filter((path) => !path.includes("data"));
        const path = paths[at % paths.length]!;
        let error: unknown;
        try {
          read(changed(file, path, wrong), "data");
        } catch (thrown) {
          error = thrown;
        }
        // An object can be right where names are free.
        if (error === undefined) {
          return assert.ok(
            typeof wrong === "object" && wrong !== null,
            path.join("."),
          );
        }
        assert.ok(error instanceof PlugboardError, String(error));
        assert.match(error.message, /^plugboard\.json/);
        assert.doesNotMatch(error.message, /\n\s+at |\.ts:\d/);
      },
    ),
    { numRuns: 300 },
  );
});
