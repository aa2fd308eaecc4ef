import { z } from "zod";

export const modelId = z
  .string()
  .min(1, "must not be empty")
  .max(256, "must be at most 256 characters long")
  .regex(/^\S+$/, "must not contain spaces");

/** A URL as it stands: parsers of URLs drop blanks, tabs and line breaks, so that a slip would pass unseen. */
export function exactUrl(protocol: RegExp, form: { readonly name: string; readonly example: string }) {
  const error = `must be ${form.name}, such as ${form.example}`;
  return z
    .string()
    .regex(/^\S+$/, error)
    .meta({ format: "uri", examples: [form.example] })
    .pipe(z.url({ protocol, error }));
}

export const baseUrl = (example: string) =>
  exactUrl(/^https?$/, { name: "a base URL", example })
    .refine((value) => !/[?#]/.test(value), "must be a base URL without `?` and `#`")
    .refine((value) => !/\/v1\/*$/.test(value), "must be a base URL without /v1")
    .transform((value) => value.replace(/\/+$/, ""));
