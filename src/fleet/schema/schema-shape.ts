import { z } from "zod";
import type { KeyPath } from "../../core/key-path.ts";

/** Looks through `.default()`, `.optional()`, `.prefault()` and transforms for the schema of what a person writes. */
export function writtenSchema(schema: unknown): unknown {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodOptional || schema instanceof z.ZodPrefault) {
    return writtenSchema(schema.unwrap());
  }
  return schema instanceof z.ZodPipe ? writtenSchema(schema.in) : schema;
}

/** The keys that a table may have; empty where any key is fine, and for what is no table. */
export function keysOf(schema: unknown): string[] {
  const written = writtenSchema(schema);
  if (written instanceof z.ZodObject) return Object.keys(written.shape);
  if (written instanceof z.ZodUnion) return [...new Set(written.options.flatMap(keysOf))];
  return [];
}

/** The schema of the value at `path`, or undefined when the schema knows no such place. */
export const schemaAt = (schema: unknown, path: KeyPath): unknown =>
  path.length === 0 ? writtenSchema(schema) : writtenSchema(declaredSchemaAt(schema, path));

/** The same with the layers around it: its default, whether it may be left out, what is said about it. */
export function declaredSchemaAt(schema: unknown, path: KeyPath): unknown {
  return path.reduce<unknown>((outer, step) => stepInto(writtenSchema(outer), step), schema);
}

function stepInto(schema: unknown, step: string | number): unknown {
  if (typeof step === "number") return schema instanceof z.ZodArray ? schema.element : undefined;
  if (schema instanceof z.ZodObject) {
    const shape: Readonly<Record<string, unknown>> = schema.shape;
    return Object.hasOwn(shape, step) ? shape[step] : undefined;
  }
  if (schema instanceof z.ZodRecord) return schema.valueType;
  if (!(schema instanceof z.ZodUnion)) return undefined;
  return schema.options
    .map((option) => stepInto(writtenSchema(option), step))
    .find((found) => found !== undefined);
}

/** Whether a text stands for itself there: strings, and the choices of an enum. */
export const wantsText = (schema: unknown): boolean => {
  const written = writtenSchema(schema);
  return (
    written instanceof z.ZodString ||
    written instanceof z.ZodURL ||
    written instanceof z.ZodEnum ||
    written instanceof z.ZodLiteral
  );
};
