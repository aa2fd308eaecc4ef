import type { z } from "zod";
import { CortexError } from "../../../core/errors.ts";

/** Reads a request; all that is wrong with it is one error that names the first field. */
export function readRequest<Schema extends z.ZodType>(schema: Schema, body: unknown): z.output<Schema> {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const param = issue?.path.join(".") ?? "";
  if (param === "model") {
    throw new CortexError("missing_model_field", "the request names no model", { param });
  }
  const message = `${param === "" ? "the request" : `\`${param}\``}: ${issue?.message ?? "is not understood"}`;
  throw new CortexError("invalid_request_body", message, { param });
}

/** A field, where it was given. */
export const given = (name: string, value: unknown): Readonly<Record<string, unknown>> =>
  value == null ? {} : { [name]: value };
