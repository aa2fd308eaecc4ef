import type { z } from "zod";
import { nearest } from "../../core/nearest.ts";
import { diagnostic, QUOTED_LENGTH, type Diagnostic, type MarkedPlace } from "../text/diagnostics.ts";
import { FOREIGN_KEYS } from "./foreign-keys.ts";
import { fleetSchema, type Fleet } from "../schema/fleet-schema.ts";
import { isTable, type MergedFleetDocument } from "./merge-fleet-files.ts";
import { keysOf, schemaAt } from "../schema/schema-shape.ts";
import { namesInPath, type KeyPath } from "../../core/key-path.ts";
import { missingKeyHelp, valueHelp } from "./value-help.ts";

type Issue = z.core.$ZodIssue;

export interface SchemaCheck {
  /** Undefined where the schema refuses something. */
  readonly fleet: Fleet | undefined;
  /** All that it refuses, in the words of the file. */
  readonly findings: readonly Diagnostic[];
}

export function checkSchema(merged: MergedFleetDocument): SchemaCheck {
  const checked = fleetSchema.safeParse(merged.document);
  if (checked.success) return { fleet: checked.data, findings: [] };
  const findings = oneForEachValue(checked.error.issues).flatMap((issue) => findingsOf(issue, merged));
  return { fleet: undefined, findings };
}

/** A value that breaks several rules is wrong once: the first rule, in the order of the schema, says most. */
function oneForEachValue(issues: readonly Issue[]): Issue[] {
  const seen = new Set<string>();
  return issues.filter((issue) => {
    if (issue.code === "unrecognized_keys") return true;
    const place = JSON.stringify(issue.path);
    return !seen.has(place) && seen.add(place);
  });
}

function findingsOf(issue: Issue, merged: MergedFleetDocument): Diagnostic[] {
  const path = issue.path.filter((step) => typeof step !== "symbol");
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => unknownKey([...path, key], merged));
  }
  if (merged.valueAt(path) === undefined) return [missingKey(path, merged)];
  return [valueNotAllowed({ issue, path }, merged)];
}

const SECRET_NAMES = /^(?:key|secret|token|password|api_?key|bearer)$/i;

function unknownKey(path: KeyPath, merged: MergedFleetDocument): Diagnostic {
  const key = String(path.at(-1));
  const where = describeTable(path.slice(0, -1));
  const at = merged.placeOfKey(path);
  if (path[0] === "keys" && SECRET_NAMES.test(key)) {
    const help =
      'write the hash instead: hash = "sha256:..."; and change the secret: git keeps what it has once held';
    return diagnostic({ code: "CTX123", at, message: `\`${key}\` puts a secret into a fleet file`, help });
  }
  const known = keysOf(schemaAt(fleetSchema, path.slice(0, -1)));
  const meant = nearest(key, known);
  const help =
    FOREIGN_KEYS[namesInPath(path)] ?? (meant === undefined ? undefined : `did you mean \`${meant}\`?`);
  return diagnostic({
    code: "CTX102",
    at,
    message: `\`${key}\` is not a key of ${where}`,
    ...(help !== undefined
      ? { help }
      : known.length === 0
        ? {}
        : { help: `keys of ${where}: ${known.join(", ")}` }),
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
    help: missingKeyHelp(path),
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
      help: "choose another name, without spaces, such as `qwen-large`",
    });
  }
  const value = merged.valueAt(path);
  if (path[0] === "keys" && path.at(-1) === "hash" && typeof value === "string") {
    return noHash(value, merged.placeOfValue(path));
  }
  return diagnostic({
    code: "CTX103",
    at: merged.placeOfValue(path),
    message: `${describeKey(path)} ${requirement(issue)}${instead(issue, value)}`,
    help: betterTable(issue, path) ?? dottedAlias(path, value) ?? valueHelp(path, value),
  });
}

/** What stands where a hash should: a slip in writing it down, or the secret itself. */
function noHash(value: string, at: MarkedPlace): Diagnostic {
  const message = "`hash` must be sha256: and 64 lower-case hexadecimal digits";
  if (/^[0-9a-f]{64}$/.test(value)) {
    return diagnostic({ code: "CTX103", at, message, help: "put sha256: in front of it" });
  }
  if (/^sha256:/i.test(value)) {
    const help = `it has ${value.length - "sha256:".length} characters after the colon; printf %s "$SECRET" | sha256sum prints it`;
    return diagnostic({ code: "CTX103", at, message, help });
  }
  return diagnostic({
    code: "CTX123",
    at,
    message: "`hash` is not a hash; it may be the secret itself",
    help: 'write hash = "sha256:..." and change the secret: git keeps what it has once held',
  });
}

/** `[models]` for `[[models]]`, and the other way round. */
function betterTable(issue: Issue, path: KeyPath): string | undefined {
  const [table] = path;
  if (issue.code !== "invalid_type" || path.length !== 1 || typeof table !== "string") return undefined;
  if (issue.expected === "array") return `write [[${table}]] above each block, and its name inside`;
  return issue.expected === "object" ? `write [${table}], once` : undefined;
}

/** `qwen3.5 = "..."` is TOML for a table `qwen3` with a key `5`. */
function dottedAlias(path: KeyPath, value: unknown): string | undefined {
  if (path[0] !== "aliases" || path.length !== 2 || !isTable(value)) return undefined;
  const steps = [String(path[1])];
  let inner: unknown = value;
  while (isTable(inner)) {
    const [entry] = Object.entries(inner);
    if (entry === undefined) return undefined;
    steps.push(entry[0]);
    [, inner] = entry;
  }
  return `a name with a dot stands in quotes: "${steps.join(".")}" = ${JSON.stringify(inner)}`;
}

/** "must be ..., not 7"; a "must not ..." names what it found on its own. */
function instead(issue: Issue, value: unknown): string {
  if (value === "") return issue.message === "must not be empty" ? "" : ", and is empty";
  return requirement(issue).startsWith("must not ")
    ? `: ${describeValue(value)}`
    : `, not ${describeValue(value)}`;
}

function choicesOf(issue: Issue): string[] {
  if (issue.code === "invalid_value") return issue.values.filter((value) => typeof value === "string");
  if (issue.code !== "invalid_union" || !("options" in issue) || !Array.isArray(issue.options)) return [];
  return issue.options.filter((option): option is string => typeof option === "string");
}

/** The issue as "must be ...". Messages given in the schema already read so. */
function requirement(issue: Issue): string {
  if (issue.message.startsWith("must ")) return issue.message;
  if (issue.code === "invalid_type") return `must be ${TYPE_NAMES[issue.expected] ?? issue.expected}`;
  const choices = choicesOf(issue);
  if (choices.length > 0)
    return `must be one of ${choices.map((choice) => JSON.stringify(choice)).join(", ")}`;
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
    return JSON.stringify(value.length > 60 ? `${value.slice(0, QUOTED_LENGTH)}...` : value);
  if (typeof value === "number" && !Number.isFinite(value)) {
    return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
  }
  return value instanceof Date ? "a date" : String(value);
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
