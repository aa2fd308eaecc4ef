import { z } from "zod";
import { withoutSafeIntegers } from "../core/json-schema.ts";
import { planDocumentSchema } from "./plan-document.ts";

/** JSON Schema (draft 7) of the plan document, for what reads plans: policies in CI, dashboards, other programs. */
export function planJsonSchema(): Readonly<Record<string, unknown>> {
  const { $schema, ...schema } = z.toJSONSchema(planDocumentSchema, { io: "input", target: "draft-7" });
  return {
    $schema,
    title: "cortex plan document",
    description:
      "What `cortex plan --json` prints and `--out` saves. A reader ignores fields that it does not know.",
    ...(withoutSafeIntegers(schema) as Readonly<Record<string, unknown>>),
  };
}

export const planJsonSchemaText = (): string => `${JSON.stringify(planJsonSchema(), undefined, 2)}\n`;
