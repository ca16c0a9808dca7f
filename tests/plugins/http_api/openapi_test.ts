// deno-lint-ignore-file no-explicit-any -- reads the document by name
import { Validator } from "@seriousme/openapi-schema-validator";
import { Ajv2020 } from "ajv/dist/2020.js";
import fc from "fast-check";
import assert from "node:assert/strict";
import type { Schema } from "../../../plugins/http_api/schema.ts";
import { within } from "../../kit/mod.ts";
import { apiServer, KEY } from "./kit.ts";
import { KNOWN } from "./methods.ts";
import { requestFor } from "./requests.ts";

/** `PLUGBOARD_REQUESTS=20000` runs the test longer. */
const REQUESTS = Number(Deno.env.get("PLUGBOARD_REQUESTS") ?? 1_000);
const AT_ONCE = 20;

async function documentOf(server: { fetch(path: string): Promise<Response> }): Promise<any> {
  return await (await server.fetch("/api/openapi.json")).json();
}

Deno.test("B09 the OpenAPI document is valid and has every method with its permission", async () => {
  await using server = await apiServer();
  const document = await documentOf(server);
  const { valid, errors } = await new Validator().validate(structuredClone(document));
  assert.ok(valid, JSON.stringify(errors));
  const methods = Object.entries<any>(document.paths).filter(([path]) => path !== "/api");
  assert.deepEqual(methods.map(([path]) => path.slice("/api/".length)).sort(), Object.keys(KNOWN).sort());
  for (const [path, { post }] of methods) {
    const { permission, compatible } = KNOWN[path.slice("/api/".length)]!;
    const template: string | undefined = post["x-permission"];
    if (template === undefined) assert.equal(permission, undefined, path);
    else assert.match(permission!, new RegExp(`^${template.replace(/\{\w+\}/, ".+")}$`));
    assert.deepEqual(post.tags, [compatible ? "channels and clients" : "operating"]);
  }
});

Deno.test("B09 the schemas use only keywords that are checked or that only describe", async () => {
  await using server = await apiServer();
  const { paths } = await documentOf(server);
  const checked =
    "type enum minLength maxLength pattern minimum maximum items minItems properties required additionalProperties";
  const known = new Set([...checked.split(" "), "description", "examples"]);
  const visit = (schema: any): void => {
    for (const keyword of Object.keys(schema)) assert.ok(known.has(keyword), keyword);
    for (const each of Object.values(schema.properties ?? {})) visit(each);
    for (const each of [schema.items, schema.additionalProperties]) if (each !== undefined) visit(each);
  };
  for (const { post } of Object.values<any>(paths)) {
    visit(post.requestBody.content["application/json"].schema);
  }
});

Deno.test(`B09 generated requests never fail the server, and the answers are as documented`, async () => {
  const folder = await Deno.makeTempDir();
  {
    await using server = await apiServer({
      path: `${folder}/plugboard.db`,
      api: { backups: `${folder}/backups`, reload: () => Promise.resolve({ reloaded: [], restart: [] }) },
    });
    server.methods.define("who", { run: () => "somebody" });
    server.queries.define("items", { sql: "SELECT 1 AS n" });
    const { paths, components } = await documentOf(server);
    const methods = Object.keys(KNOWN);
    const ajv = new Ajv2020({ strict: false });
    const answerOf = new Map(methods.map((method) => {
      const schema = paths[`/api/${method}`].post.responses[200].content["application/json"].schema;
      return [method, ajv.compile({ ...schema, components })];
    }));
    const request = fc.constantFrom(...methods).chain((method) => {
      const schema: Schema = paths[`/api/${method}`].post.requestBody.content["application/json"].schema;
      const params = method === "batch" ? batchOf(paths) : requestFor(schema);
      return fc.record({ method: fc.constant(method), params });
    });
    const statuses = new Map<number, number>();

    const send = async ({ method, params }: { method: string; params: unknown }) => {
      const { status, body } = await within(`the answer of ${method}`, server.call(method, params));
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      const asked = `${method} ${JSON.stringify(params)}: ${status} ${JSON.stringify(body)}`;
      assert.ok([200, 400, 403, 404, 409].includes(status), asked);
      const validate = answerOf.get(method)!;
      if (status === 200) assert.ok(validate(body), `${asked} ${JSON.stringify(validate.errors)}`);
      else assert.match(body.error?.message, /./, asked);
      assert.notEqual(body.error?.code, 100, asked);
    };
    const property = fc.asyncProperty(
      fc.array(request, { minLength: AT_ONCE, maxLength: AT_ONCE }),
      async (all) => void await Promise.all(all.map(send)),
    );
    await fc.assert(property, { numRuns: Math.ceil(REQUESTS / AT_ONCE), endOnFailure: true });
    assert.ok(
      (statuses.get(200) ?? 0) > REQUESTS / 4,
      `too few are accepted: ${JSON.stringify([...statuses])}`,
    );
    assert.deepEqual(server.log.take().map(({ message }) => message), []);
    assert.equal(
      (await server.call("publish", { channel: "alive", data: 1 }, { "x-api-key": KEY })).status,
      200,
    );
  }
  await Deno.remove(folder, { recursive: true });
});

/** Generates batches whose commands are generated requests. */
function batchOf(paths: any): fc.Arbitrary<unknown> {
  const command = fc.constantFrom(...Object.keys(KNOWN)).chain((method) => {
    const schema: Schema = paths[`/api/${method}`].post.requestBody.content["application/json"].schema;
    return requestFor(schema).map((params) => ({ [method]: params }));
  });
  return fc.record({ commands: fc.array(command, { maxLength: 4 }), parallel: fc.boolean() });
}
