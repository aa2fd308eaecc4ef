import type { View } from "./view.ts";

/** A JSON Schema is for programs, whoever reads it. */
export const schemaView = (schema: Readonly<Record<string, unknown>>): View<unknown> => ({
  json: schema,
  human: () => JSON.stringify(schema, undefined, 2),
});
