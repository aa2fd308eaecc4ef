import type { z } from "zod";
import { breach, shown, type StreamEvent } from "./stream-grammar.ts";
import type { Breach, RuleName } from "./rules.ts";

/** An event in the shape that its grammar reads; without a value where it has another. */
export interface ReadEvent<Value> {
  readonly value?: Value;
  readonly breaches: readonly Breach[];
}

/** `rule` is what an event of another shape breaks. */
export function readEvent<Schema extends z.ZodType>(
  event: StreamEvent,
  schema: Schema,
  rule: RuleName,
): ReadEvent<z.output<Schema>> {
  if (event.payload === undefined) {
    return { breaches: [breach("stream-readable", `is not JSON: ${shown(event)}`)] };
  }
  const parsed = schema.safeParse(event.payload);
  if (parsed.success) return { value: parsed.data, breaches: [] };
  return { breaches: [breach(rule, `${firstIssue(parsed.error)} in ${shown(event)}`)] };
}

export function firstIssue(error: z.ZodError): string {
  const [issue] = error.issues;
  const path = issue?.path.join(".") ?? "";
  return `${path === "" ? "it" : `\`${path}\``}: ${issue?.message ?? "has another shape"}`;
}
