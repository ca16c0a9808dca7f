/** The schema of configuration files has every option that exists in code, and no other. */

import assert from "node:assert/strict";
import { options } from "../../../plugins/servers/configured/flags.ts";
import { DEFAULTS } from "../../../plugins/rate_limits/limits.ts";
import source from "../../../plugins/servers/configured/schema.json" with { type: "json" };
import denoJson from "../../../deno.json" with { type: "json" };
import { TABLES, withTables } from "../../kit/option_table.ts";
import { makeSchema } from "../../kit/schema.ts";

Deno.test("the schema is what the options in the code say (deno task schema)", () => {
  assert.deepEqual(JSON.parse(JSON.stringify(makeSchema())), source);
});

Deno.test("the tables of settings in the documentation are those of the schema (deno task schema)", async () => {
  const text = await Deno.readTextFile(TABLES);
  assert.equal(withTables(text), text);
});

Deno.test("every setting may be read from the environment, and every limit is one", () => {
  const { env } = denoJson.permissions.default;
  const allowed = (name: string) =>
    env.some((each) => each.endsWith("*") ? name.startsWith(each.slice(0, -1)) : each === name);
  // Options of the app, such as folders, stand in the file.
  assert.deepEqual([...options.keys()].filter((name) => !allowed(name)), []);
  for (const name of Object.keys(DEFAULTS)) {
    const found = [...options.values()].find(({ path }) => path.join(".") === `limits.${name}`);
    assert.equal(found?.setting.fallback, DEFAULTS[name as keyof typeof DEFAULTS], name);
  }
});

Deno.test("no secret has a default", () => {
  const withDefault: string[] = [];
  const visit = (schema: unknown, path: string) => {
    if (typeof schema !== "object" || schema === null) return;
    const { writeOnly, default: given } = schema as { writeOnly?: boolean; default?: unknown };
    if (writeOnly && given !== undefined && JSON.stringify(given) !== "[]") withDefault.push(path);
    for (const [key, part] of Object.entries(schema)) visit(part, `${path}/${key}`);
  };
  visit(source, "#");
  assert.deepEqual(withDefault, []);
});
