import { z } from "zod";
import { withoutSafeIntegers } from "../../core/json-schema.ts";
import { fleetSchema } from "./fleet-schema.ts";

/** Where `cortex init` puts the schema in a fleet repository; `#:schema` comments name it, so editors need no network. */
export const SCHEMA_PATH = ".cortex/fleet.schema.json";

/**
 * JSON Schema (draft 7) of a fleet file, for editors that complete and check TOML. It says what the zod schemas say
 * of one file: `[fleet]` may stand in another file of the directory, and references and sums are the business of
 * `cortex validate`.
 */
export function fleetJsonSchema(): Readonly<Record<string, unknown>> {
  const { $schema, ...schema } = z.toJSONSchema(fleetSchema.partial(), { io: "input", target: "draft-7" });
  return {
    $schema,
    title: "cortex fleet file",
    description:
      "One file of a fleet repository. Tables may be split over files; `cortex validate` checks them together.",
    ...(withoutSafeIntegers(schema) as Readonly<Record<string, unknown>>),
  };
}

export const fleetJsonSchemaText = (): string => `${JSON.stringify(fleetJsonSchema(), undefined, 2)}\n`;
