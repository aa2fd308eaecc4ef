import { describe, expect, test } from "vitest";
import { CortexError } from "../../../src/core/errors.ts";
import { jsonSchemaGrammar } from "../../../src/worker/answer/json-schema-grammar.ts";

const refusedAt = (schema: unknown): string | undefined => {
  try {
    jsonSchemaGrammar(schema, "s");
    return undefined;
  } catch (thrown) {
    if (thrown instanceof CortexError && thrown.code === "unsupported_parameter") return thrown.param;
    throw thrown;
  }
};

const nested = (levels: number, wrap: (inner: object) => object): object =>
  levels === 0 ? { type: "string" } : wrap(nested(levels - 1, wrap));

describe("schemas that no grammar here can enforce are refused at their place", () => {
  test.each([
    [{ type: "string", pattern: "^a$" }, "s.pattern"],
    [{ type: "string", format: "email" }, "s.format"],
    [{ type: "number", maximum: 3 }, "s.maximum"],
    [{ type: "number", minimum: 1 }, "s.minimum"],
    [{ type: "integer", multipleOf: 5 }, "s.multipleOf"],
    [{ type: "array", uniqueItems: true }, "s.uniqueItems"],
    [{ type: "array", contains: {} }, "s.contains"],
    [{ type: "object", properties: { a: { not: {} } } }, "s.properties.a.not"],
    [{ type: "object", patternProperties: {} }, "s.patternProperties"],
    [{ type: "object", properties: {}, required: ["a"] }, "s.required"],
    [{ allOf: [{ type: "string" }, { minLength: 3 }] }, "s.allOf"],
    [{ oneOf: [{ type: "integer" }, { type: "number" }] }, "s.oneOf"],
    [{ anyOf: [{ type: "string" }], minLength: 1 }, "s.minLength"],
    [{ $ref: "#/$defs/none" }, "s.$ref"],
    [{ $ref: "other.json" }, "s.$ref"],
    [{ $ref: "#/%" }, "s.$ref"],
    [{ type: "integer", minimum: 5, maximum: 4 }, "s"],
    [{ type: "strange" }, "s.type"],
    [false, "s"],
    [{ $ref: "#" }, "s.$ref.$ref"],
    [{ anyOf: [{ type: "string" }, { $ref: "#" }] }, "s.anyOf.1.$ref.anyOf.1.$ref"],
    [{ type: "array", minItems: 1001 }, "s.minItems"],
    [{ type: "string", minLength: 1_000_000 }, "s.minLength"],
    [{ enum: Array.from({ length: 40_000 }, (_, index) => `value ${index}`) }, "s"],
    [nested(100, (inner) => ({ type: "array", items: inner })), `s${".items".repeat(64)}`],
    [nested(12, (inner) => ({ anyOf: [inner, inner, inner] })), "s"],
  ])("%#: %j", (schema, place) => {
    expect(refusedAt(schema)).toBe(place);
  });
});

describe("schemas that can be enforced", () => {
  test.each([
    {},
    true,
    { type: "object" },
    { type: ["string", "null"], description: "annotations are no constraints", default: null },
    { type: "integer", minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER },
    { oneOf: [{ type: "string" }, { type: "integer" }] },
    {
      oneOf: ["a", "b"].map((kind) => ({
        type: "object",
        properties: { kind: { const: kind } },
        required: ["kind"],
      })),
    },
    { $ref: "#/$defs/tree", $defs: { tree: { type: "array", items: { $ref: "#/$defs/tree" } } } },
    { type: "string", format: "date-time" },
    { enum: ["a", 1, null, { b: [2] }] },
    { type: "object", additionalProperties: { type: "boolean" } },
  ])("%j", (schema) => {
    expect(refusedAt(schema)).toBeUndefined();
  });

  test("a schema that refers to itself makes a finite grammar", () => {
    const schema = {
      type: "object",
      properties: { next: { anyOf: [{ $ref: "#" }, { type: "null" }] } },
      required: ["next"],
      additionalProperties: false,
    };
    expect(jsonSchemaGrammar(schema, "s").split("\n").length).toBeLessThan(40);
  });
});
