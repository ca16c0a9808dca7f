/**
 * The OpenAPI document, made from the schemas that check the requests.
 *
 * @module
 */

import type { Schema } from "./schema.ts";
import type { Method } from "./types.ts";

const json = (schema: object) => ({ content: { "application/json": { schema } } });

const NUMBERED_ERROR = {
  type: "object",
  properties: { code: { type: "integer" }, message: { type: "string" } },
  required: ["code", "message"],
};

const NAMED_ERROR = {
  type: "object",
  properties: {
    error: {
      type: "object",
      properties: { code: { type: "string" }, message: { type: "string" } },
      required: ["code", "message"],
    },
  },
  required: ["error"],
};

const COMMANDS = {
  summary: "Runs commands of the older form",
  description:
    "Each line is `{ id, method, params }`, and so is each line of the answer `{ id, result }` or " +
    "`{ id, error }`. Each command needs the permission of its method.",
  operationId: "commands",
  requestBody: {
    required: true,
    content: {
      "application/json": {
        schema: {
          type: "object",
          properties: {
            id: { type: "integer", minimum: 0 },
            method: { type: "string", examples: ["publish"] },
            params: { type: "object" },
          },
        },
      },
    },
  },
};

/** Returns the OpenAPI 3.1 document of the methods at a path. */
export function openApi(methods: Iterable<Method>, path: string): object {
  const operations = Array.from(
    methods,
    (method) => [`${path}/${method.name}`, { post: operationOf(method) }],
  );
  return {
    openapi: "3.1.0",
    info: {
      title: "Plugboard",
      version: "1",
      description: "The server API. It is compatible with Centrifugo's, whose client libraries work with it.",
    },
    security: [{ key: [] }, { authorization: [] }, { query: [] }, {}],
    tags: [
      { name: "channels and clients", description: "As in Centrifugo: errors have numbers and status 200" },
      { name: "operating", description: "Errors have a status and a reason" },
    ],
    paths: {
      [path]: {
        post: { ...COMMANDS, tags: ["channels and clients"], responses: responsesOf({ type: "object" }) },
      },
      ...Object.fromEntries(operations),
    },
    components: {
      securitySchemes: {
        key: { type: "apiKey", in: "header", name: "X-API-Key" },
        authorization: { type: "apiKey", in: "header", name: "Authorization", description: "`apikey KEY`" },
        query: { type: "apiKey", in: "query", name: "api_key" },
      },
      schemas: { NumberedError: NUMBERED_ERROR, NamedError: NAMED_ERROR },
      responses: {
        Refused: {
          description: "The request is refused. The error names the reason",
          ...json(ref("NamedError")),
        },
      },
    },
  };
}

function operationOf({ name, summary, params, result, permission, compatible }: Method): object {
  const needs = permission === undefined
    ? "Each part of the request needs a permission of its own."
    : `Needs the permission \`${permission}\`.`;
  return {
    summary,
    description: needs,
    operationId: name.replace("/", "_"),
    tags: [compatible ? "channels and clients" : "operating"],
    ...(permission !== undefined && { "x-permission": permission }),
    requestBody: { required: true, ...json(params) },
    responses: responsesOf(resultOf(name, result, compatible)),
  };
}

/** The answer has a `result`, or an `error` if the method is one of Centrifugo's. */
function resultOf(name: string, result: Schema, compatible: boolean): object {
  if (name === "batch") return result;
  const properties = { result, ...(compatible && { error: ref("NumberedError") }) };
  return { type: "object", properties, ...(!compatible && { required: ["result"] }) };
}

function responsesOf(schema: object): object {
  const refused = { $ref: "#/components/responses/Refused" };
  const statuses = ["400", "401", "403", "404", "408", "409", "413", "429", "503", "504"].map((
    status,
  ) => [status, refused]);
  return { 200: { description: "The result", ...json(schema) }, ...Object.fromEntries(statuses) };
}

function ref(name: string): object {
  return { $ref: `#/components/schemas/${name}` };
}
