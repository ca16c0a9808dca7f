import fc from "fast-check";
import type { Schema } from "../../../plugins/http_api/schema.ts";

/** Words that mean something to the server, besides random ones. */
const WORDS = [
  "news",
  "chat:1",
  "$secret",
  "#ann",
  "ann",
  "items",
  "who",
  "*",
  "",
  "live:items",
  "a?b",
  "x".repeat(300),
];

const strings = fc.oneof(fc.constantFrom(...WORDS), fc.string({ unit: "binary", maxLength: 20 }));
const numbers = fc.oneof(
  fc.integer({ min: -2, max: 10 }),
  fc.maxSafeInteger(),
  fc.double(),
  fc.constantFrom(-1, 0, 1.5, 3_000, 4_500, 1e308, 2 ** 53),
);
const anything = fc.jsonValue({ maxDepth: 4, noUnicodeString: false });

/** Generates the bodies of requests for a schema. Most are valid; in others, some members have another type or are missing. */
export function requestFor(schema: Schema): fc.Arbitrary<unknown> {
  return fc.oneof(
    { weight: 8, arbitrary: valueOf(schema) },
    { weight: 2, arbitrary: anything },
  );
}

function valueOf(schema: Schema): fc.Arbitrary<unknown> {
  return fc.oneof(
    { weight: 30, arbitrary: validValueOf(schema) },
    { weight: 1, arbitrary: anything },
  );
}

function validValueOf(schema: Schema): fc.Arbitrary<unknown> {
  const { type, properties, required = [], additionalProperties, items, minimum } = schema;
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  switch (type) {
    case "string":
      return strings;
    case "integer":
    case "number":
      return minimum === undefined
        ? numbers
        : fc.oneof(fc.integer({ min: minimum, max: minimum + 5_000 }), numbers);
    case "boolean":
      return fc.boolean();
    case "array":
      return fc.array(valueOf(items ?? {}), { maxLength: 5 });
    case "object": {
      if (properties === undefined) {
        const values = additionalProperties === undefined ? anything : valueOf(additionalProperties);
        return fc.dictionary(strings, values, { maxKeys: 4 });
      }
      const members = Object.fromEntries(
        Object.entries(properties).map(([name, each]) => [name, valueOf(each)]),
      );
      return fc.record(members, { requiredKeys: [...required] });
    }
    default:
      return anything;
  }
}
