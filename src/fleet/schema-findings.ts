import { z } from "zod";
import { nearest } from "../core/nearest.ts";
import { diagnostic, type Diagnostic } from "./diagnostics.ts";
import { fleetSchema, modelBlockSchema, neuronBlockSchema } from "./fleet-schema.ts";
import { isTable, type MergedFleetDocument } from "./merge-fleet-files.ts";
import type { KeyPath } from "./toml-locator.ts";

type Issue = z.core.$ZodIssue;

/** Every finding of the schema, in the words of the file. */
export function schemaFindings(merged: MergedFleetDocument): Diagnostic[] {
  const checked = fleetSchema.safeParse(merged.document);
  if (checked.success) return [];
  return checked.error.issues.flatMap((issue) => findingsOf(issue, merged));
}

function findingsOf(issue: Issue, merged: MergedFleetDocument): Diagnostic[] {
  const path = issue.path.filter((step) => typeof step !== "symbol");
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => unknownKey([...path, key], merged));
  }
  if (merged.valueAt(path) === undefined) return [missingKey(path, merged)];
  return [valueNotAllowed({ issue, path }, merged)];
}

function unknownKey(path: KeyPath, merged: MergedFleetDocument): Diagnostic {
  const key = String(path.at(-1));
  const where = describeTable(path.slice(0, -1));
  const meant = nearest(key, knownKeys(path.slice(0, -1)));
  return diagnostic({
    code: "CTX102",
    at: merged.placeOfKey(path),
    message: `\`${key}\` is no key of ${where}`,
    ...(meant === undefined ? {} : { help: `did you mean \`${meant}\`?` }),
  });
}

function missingKey(path: KeyPath, merged: MergedFleetDocument): Diagnostic {
  const key = String(path.at(-1));
  if (path.length === 1) {
    return diagnostic({
      code: "CTX104",
      at: merged.placeOfKey(path),
      message: `the fleet has no [${key}] table`,
      help: key === "fleet" ? 'add a [fleet] table with a name, such as name = "home"' : `add [${key}]`,
    });
  }
  return diagnostic({
    code: "CTX104",
    at: merged.placeOfKey(path.slice(0, -1)),
    message: `${describeTable(path.slice(0, -1))} has no \`${key}\``,
    help: `add \`${key} = ...\``,
  });
}

function valueNotAllowed(
  found: { readonly issue: Issue; readonly path: KeyPath },
  merged: MergedFleetDocument,
): Diagnostic {
  const { issue, path } = found;
  if (issue.code === "invalid_key") {
    return diagnostic({
      code: "CTX103",
      at: merged.placeOfKey(path),
      message: `the name \`${String(path.at(-1))}\` ${issue.issues[0]?.message ?? "is not allowed"}`,
    });
  }
  return diagnostic({
    code: "CTX103",
    at: merged.placeOfValue(path),
    message: `${describeKey(path)} ${requirement(issue)}, not ${describeValue(merged.valueAt(path))}`,
  });
}

/** The issue as "must be ...". Messages given in the schema already read so. */
function requirement(issue: Issue): string {
  if (issue.message.startsWith("must ")) return issue.message;
  if (issue.code === "invalid_type") return `must be ${TYPE_NAMES[issue.expected] ?? issue.expected}`;
  if (issue.code === "invalid_value") {
    return `must be one of ${issue.values.map((value) => JSON.stringify(value)).join(", ")}`;
  }
  if (issue.code === "too_small")
    return `must be ${issue.inclusive ? "at least" : "more than"} ${issue.minimum}`;
  if (issue.code === "too_big") {
    const unit = issue.origin === "string" ? " characters long" : "";
    return `must be ${issue.inclusive ? "at most" : "less than"} ${issue.maximum}${unit}`;
  }
  return `is not allowed (${issue.message})`;
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  string: "a string",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "an array",
  object: "a table",
  record: "a table",
};

function describeValue(value: unknown): string {
  if (Array.isArray(value)) return "an array";
  if (isTable(value)) return "a table";
  if (typeof value === "string")
    return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}...` : value);
  return String(value);
}

/** `gateway.listen`, `replicas`, `pinned_on[1]`: the key as one would say it, without the block's index. */
function describeKey(path: KeyPath): string {
  const inBlock = typeof path[1] === "number" ? path.slice(2) : path;
  const text = inBlock.reduce<string>(
    (said, step) => (typeof step === "number" ? `${said}[${step}]` : said === "" ? step : `${said}.${step}`),
    "",
  );
  return text === "" ? describeTable(path) : `\`${text}\``;
}

function describeTable(path: KeyPath): string {
  const [table, index, ...rest] = path;
  if (table === undefined) return "a fleet file";
  if (typeof index !== "number") return `[${path.join(".")}]`;
  return rest.length === 0 ? `a [[${table}]] block` : `\`${rest.join(".")}\` of a [[${table}]] block`;
}

const BLOCK_SCHEMAS = { neurons: neuronBlockSchema, models: modelBlockSchema } as const;

/** The keys that a table may have; empty where any key is fine. */
function knownKeys(path: KeyPath): string[] {
  const [table, index, ...rest] = path;
  if (table === undefined) return Object.keys(fleetSchema.shape);
  if (typeof index === "number" && (table === "neurons" || table === "models"))
    return keysBelow(BLOCK_SCHEMAS[table], rest);
  return keysBelow(fleetSchema, path);
}

function keysBelow(schema: unknown, path: KeyPath): string[] {
  const shape = shapeOf(schema);
  const [step, ...rest] = path;
  if (shape === undefined) return [];
  if (step === undefined) return Object.keys(shape);
  const below = shape[String(step)];
  return below === undefined ? [] : keysBelow(below, rest);
}

/** Looks through `.default()`, `.optional()` and `.prefault()` for the object inside. */
function shapeOf(schema: unknown): Readonly<Record<string, unknown>> | undefined {
  if (schema instanceof z.ZodObject) return schema.shape;
  const isWrapped =
    schema instanceof z.ZodDefault || schema instanceof z.ZodOptional || schema instanceof z.ZodPrefault;
  return isWrapped ? shapeOf(schema.unwrap()) : undefined;
}
