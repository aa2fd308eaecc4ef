import { isRecord } from "../../core/json.ts";
import { CortexError } from "../../core/errors.ts";
import { integerRangePatterns } from "./integer-range-pattern.ts";
import { alternativesExclude } from "./schema-alternatives.ts";

/**
 * JSON Schema to GBNF, the grammar that llama.cpp samples under.
 *
 * The grammar is sound: whatever it lets through is valid under the schema. It need not let through everything
 * that is valid: where the schema leaves more open than is useful (additional properties beside named ones,
 * endless white space) it offers less. A keyword that narrows the schema and cannot be turned into a grammar is
 * refused by name; dropping it would hand out answers that look checked and are not.
 */
type Schema = Readonly<Record<string, unknown>>;

/** Say nothing about which values are valid. */
const ANNOTATIONS = new Set([
  "$schema",
  "$id",
  "$comment",
  "$defs",
  "definitions",
  "title",
  "description",
  "default",
  "examples",
  "deprecated",
  "readOnly",
  "writeOnly",
  "strict",
]);

const KEYWORDS_BY_KIND: Readonly<Record<string, readonly string[]>> = {
  object: ["properties", "required", "additionalProperties"],
  array: ["items", "minItems", "maxItems"],
  string: ["minLength", "maxLength", "format"],
  integer: ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"],
  number: ["minimum", "exclusiveMinimum"],
  boolean: [],
  null: [],
};
const ALL_KINDS = ["object", "array", "string", "number", "boolean", "null"];

const BASE_RULES: Readonly<Record<string, string>> = {
  ws: String.raw`"" | " " | "\n" [ \t]{0,16}`,
  char: String.raw`[^"\\\x00-\x1F\x7F] | "\\" (["\\/bfnrt] | "u" [0-9a-fA-F]{4})`,
  string: String.raw`"\"" char* "\""`,
  integer: String.raw`"-"? ("0" | [1-9] [0-9]{0,15})`,
  number: String.raw`"-"? unsigned`,
  unsigned: String.raw`("0" | [1-9] [0-9]{0,15}) ("." [0-9]{1,16})? ([eE] [-+]? [0-9]{1,2})?`,
  boolean: `"true" | "false"`,
  null: `"null"`,
  value: `object | array | string | number | boolean | null`,
  object: String.raw`"{" ws (string ":" ws value (ws "," ws string ":" ws value)*)? ws "}"`,
  array: String.raw`"[" ws (value (ws "," ws value)*)? ws "]"`,
  date: `[0-9]{4} "-" ("0" [1-9] | "1" [0-2]) "-" ("0" [1-9] | "1" [0-9] | "2" [0-8])`,
  time: `([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9] ":" [0-5] [0-9] ("." [0-9]{1,6})? ("Z" | [-+] ([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9])`,
  uuid: `[0-9a-f]{8} "-" [0-9a-f]{4} "-" [0-9a-f]{4} "-" [0-9a-f]{4} "-" [0-9a-f]{12}`,
};

const STRING_FORMATS: Readonly<Record<string, string>> = {
  date: "date",
  time: "time",
  "date-time": `date "T" time`,
  uuid: "uuid",
};

/** Bounds on what the engine's grammar parser gets, which recurses and expands; far above any schema in use. */
const MOST_LEVELS = 64;
const MOST_SCHEMAS = 5000;
const MOST_FORCED_REPETITIONS = 1000;
const MOST_GRAMMAR_CHARACTERS = 256 * 1024;

/** A quoted GBNF literal. */
export function grammarLiteral(text: string): string {
  const escaped = text
    .replaceAll("\\", "\\\\")
    .replaceAll('"', String.raw`\"`)
    .replaceAll("\n", String.raw`\n`)
    .replaceAll("\r", String.raw`\r`)
    .replaceAll("\t", String.raw`\t`);
  return `"${escaped}"`;
}

/** Collects rules; `expression` adds what a schema needs and returns how to refer to it. */
export class SchemaGrammar {
  readonly #rules = new Map<string, string>();
  readonly #references = new Map<string, string>();
  readonly #path: string;
  #root: Schema = {};
  #depth = 0;
  #schemas = 0;
  /** References being resolved with nothing written since: one of them again would be a grammar that never starts. */
  #opening = new Set<string>();

  /** `path` names the request field in errors. */
  constructor(path: string) {
    this.#path = path;
  }

  /** Adds the schema's rules. Throws `unsupported_parameter` for what cannot be enforced. */
  expression(schema: unknown): string {
    const root = this.#root;
    this.#root = isRecord(schema) ? schema : {};
    this.#references.clear();
    this.#opening = new Set();
    const expression = this.#schema(schema, this.#path);
    this.#root = root;
    return expression;
  }

  /** The whole grammar, with `root` as its start. */
  text(root: string): string {
    const rules = [...this.#rules, ...Object.entries(BASE_RULES)];
    const text = [["root", root], ...rules].map(([name, body]) => `${name} ::= ${body}`).join("\n");
    if (text.length <= MOST_GRAMMAR_CHARACTERS) return text;
    throw unenforceable(this.#path, `makes a grammar of ${text.length} characters`);
  }

  #rule(body: string): string {
    const name = `r${this.#rules.size}`;
    this.#rules.set(name, body);
    return name;
  }

  #schema(schema: unknown, path: string): string {
    if (this.#depth >= MOST_LEVELS) throw unenforceable(path, `lies deeper than ${MOST_LEVELS} levels`);
    this.#schemas += 1;
    if (this.#schemas > MOST_SCHEMAS)
      throw unenforceable(this.#path, `holds more than ${MOST_SCHEMAS} schemas`);
    this.#depth += 1;
    const expression = this.#anySchema(schema, path);
    this.#depth -= 1;
    return expression;
  }

  /** A schema inside a value that was begun: references may come back to where they are. */
  #inside(schema: unknown, path: string): string {
    const opening = this.#opening;
    this.#opening = new Set();
    const expression = this.#schema(schema, path);
    this.#opening = opening;
    return expression;
  }

  #anySchema(schema: unknown, path: string): string {
    if (schema === true) return "value";
    if (!isRecord(schema)) throw unenforceable(path, "is not a schema that anything can satisfy");
    const keywords = Object.keys(schema).filter((keyword) => !ANNOTATIONS.has(keyword));
    if (keywords.length === 0) return "value";
    if (schema["$ref"] !== undefined) return this.#reference(schema, path, keywords);
    if ("const" in schema || "enum" in schema) return this.#constants(schema, path, keywords);
    for (const combiner of ["anyOf", "oneOf", "allOf"]) {
      if (combiner in schema) return this.#combined(schema, combiner, path);
    }
    return this.#typed(schema, path, keywords);
  }

  #reference(schema: Schema, path: string, keywords: readonly string[]): string {
    onlyKeywords(keywords, ["$ref"], path);
    const pointer = schema["$ref"];
    if (typeof pointer !== "string" || !pointer.startsWith("#")) {
      throw unenforceable(`${path}.$ref`, "points outside of the schema");
    }
    if (this.#opening.has(pointer)) throw unenforceable(`${path}.$ref`, "leads to itself");
    const known = this.#references.get(pointer);
    if (known !== undefined) return known;
    const name = this.#rule("");
    this.#references.set(pointer, name);
    this.#opening.add(pointer);
    this.#rules.set(name, this.#schema(resolvePointer(this.#root, pointer, path), `${path}.$ref`));
    this.#opening.delete(pointer);
    return name;
  }

  #constants(schema: Schema, path: string, keywords: readonly string[]): string {
    onlyKeywords(keywords, ["const", "enum", "type"], path);
    const listed = "const" in schema ? [schema["const"]] : schema["enum"];
    const kinds = schema["type"] === undefined ? undefined : [schema["type"]].flat();
    const values = (Array.isArray(listed) ? listed : []).filter(
      (value) => kinds === undefined || kinds.some((kind) => isOfKind(value, kind)),
    );
    if (values.length === 0) throw unenforceable(path, "allows no value");
    return `(${values.map((value) => grammarLiteral(JSON.stringify(value))).join(" | ")})`;
  }

  #combined(schema: Schema, combiner: string, path: string): string {
    const keywords = Object.keys(schema).filter((keyword) => !ANNOTATIONS.has(keyword));
    onlyKeywords(keywords, [combiner], path);
    const branches = schema[combiner];
    if (!Array.isArray(branches) || branches.length === 0)
      throw unenforceable(`${path}.${combiner}`, "is empty");
    if (combiner === "allOf" && branches.length > 1)
      throw unenforceable(`${path}.allOf`, "joins several schemas");
    if (combiner === "oneOf" && !alternativesExclude(branches)) {
      throw unenforceable(`${path}.oneOf`, "has branches that a value could satisfy together; use anyOf");
    }
    const parts = branches.map((branch, index) => this.#schema(branch, `${path}.${combiner}.${index}`));
    return `(${parts.join(" | ")})`;
  }

  #typed(schema: Schema, path: string, keywords: readonly string[]): string {
    const kinds = kindsOf(schema, keywords);
    const understood = ["type", ...kinds.flatMap((kind) => KEYWORDS_BY_KIND[kind] ?? [])];
    onlyKeywords(keywords, understood, path);
    const parts = kinds.map((kind) => this.#kind(kind, schema, path));
    return parts.length === 1 && parts[0] !== undefined ? parts[0] : `(${parts.join(" | ")})`;
  }

  #kind(kind: string, schema: Schema, path: string): string {
    switch (kind) {
      case "object":
        return this.#object(schema, path);
      case "array":
        return this.#array(schema, path);
      case "string":
        return stringExpression(schema, path);
      case "integer":
        return integerExpression(schema, path);
      case "number":
        return numberExpression(schema, path);
      case "boolean":
      case "null":
        return kind;
      default:
        throw unenforceable(`${path}.type`, `names an unknown type`);
    }
  }

  /**
   * Properties come in the order of the schema. `first_i` writes the object from property i on when none was
   * written yet, `more_i` when one was, so a comma is owed.
   */
  #object(schema: Schema, path: string): string {
    const properties = Object.entries(isRecord(schema["properties"]) ? schema["properties"] : {});
    const required = new Set<unknown>(Array.isArray(schema["required"]) ? schema["required"] : []);
    const undeclared = [...required].find((name) => !properties.some(([known]) => known === name));
    if (properties.length === 0 && required.size === 0) return this.#map(schema, path);
    if (undeclared !== undefined) {
      throw unenforceable(`${path}.required`, `names ${JSON.stringify(undeclared)}, which properties lacks`);
    }
    let first = `""`;
    let more = `""`;
    for (const [name, property] of properties.reverse()) {
      const value = this.#inside(property, `${path}.properties.${name}`);
      const pair = this.#rule(`${grammarLiteral(JSON.stringify(name))} ":" ws ${value}`);
      const moreAfter = more;
      const separated = `ws "," ws ${pair}`;
      more = this.#rule(required.has(name) ? `${separated} ${moreAfter}` : `(${separated})? ${moreAfter}`);
      first = this.#rule(required.has(name) ? `${pair} ${moreAfter}` : `${pair} ${moreAfter} | ${first}`);
    }
    return this.#rule(`"{" ws ${first} ws "}"`);
  }

  #map(schema: Schema, path: string): string {
    const extra = schema["additionalProperties"];
    if (extra === false) return String.raw`"{" ws "}"`;
    if (extra === undefined || extra === true) return "object";
    const value = this.#inside(extra, `${path}.additionalProperties`);
    const pair = this.#rule(`string ":" ws ${value}`);
    return this.#rule(`"{" ws (${pair} (ws "," ws ${pair})*)? ws "}"`);
  }

  #array(schema: Schema, path: string): string {
    const item = this.#rule(
      schema["items"] === undefined ? "value" : this.#inside(schema["items"], `${path}.items`),
    );
    const least = fewest(schema, "minItems", path);
    const most = count(schema["maxItems"], `${path}.maxItems`);
    if (most !== undefined && most < least) throw unenforceable(path, "allows no length");
    if (most === 0) return String.raw`"[" ws "]"`;
    const furtherMost = most === undefined ? "" : most - 1;
    const further = most === 1 ? "" : ` (ws "," ws ${item}){${Math.max(0, least - 1)},${furtherMost}}`;
    const items = `${item}${further}`;
    return this.#rule(`"[" ws ${least === 0 ? `(${items})?` : items} ws "]"`);
  }
}

export function jsonSchemaGrammar(schema: unknown, path: string): string {
  const grammar = new SchemaGrammar(path);
  return grammar.text(grammar.expression(schema));
}

/** Any JSON object. */
export const jsonObjectGrammar = (): string => new SchemaGrammar("response_format").text("object");

function unenforceable(path: string, problem: string): CortexError {
  return new CortexError("unsupported_parameter", `\`${path}\` ${problem}, so it cannot be enforced`, {
    param: path,
    next: "simplify the schema at that place",
  });
}

function onlyKeywords(keywords: readonly string[], understood: readonly string[], path: string): void {
  const stranger = keywords.find((keyword) => !understood.includes(keyword));
  if (stranger !== undefined)
    throw unenforceable(`${path}.${stranger}`, "is a constraint no grammar here has");
}

/** The schema's types; without `type` those that its keywords speak of. */
function kindsOf(schema: Schema, keywords: readonly string[]): readonly string[] {
  const declared = schema["type"];
  if (declared !== undefined) return [declared].flat().map(String);
  const spoken = ALL_KINDS.filter((kind) => keywords.some((word) => KEYWORDS_BY_KIND[kind]?.includes(word)));
  return spoken.length === 0 ? ALL_KINDS : spoken;
}

function isOfKind(value: unknown, kind: unknown): boolean {
  if (kind === "integer") return Number.isInteger(value);
  if (kind === "null") return value === null;
  if (kind === "array") return Array.isArray(value);
  if (kind === "object") return isRecord(value);
  return typeof value === kind;
}

function decoded(step: string, path: string): string {
  try {
    return decodeURIComponent(step);
  } catch {
    throw unenforceable(`${path}.$ref`, "is not a valid pointer");
  }
}

function resolvePointer(root: Schema, pointer: string, path: string): unknown {
  let at: unknown = root;
  for (const step of pointer.slice(1).split("/").slice(1)) {
    const name = decoded(step, path).replaceAll("~1", "/").replaceAll("~0", "~");
    at = isRecord(at) ? at[name] : undefined;
  }
  if (at === undefined) throw unenforceable(`${path}.$ref`, "points to nothing");
  return at;
}

function count(value: unknown, path: string): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0)
    throw unenforceable(path, "is not a whole number of 0 or more");
  return value;
}

/** A lower bound on a length; the engine writes out what it demands, so not any number will do. */
function fewest(schema: Schema, keyword: string, path: string): number {
  const value = count(schema[keyword], `${path}.${keyword}`) ?? 0;
  if (value <= MOST_FORCED_REPETITIONS) return value;
  throw unenforceable(`${path}.${keyword}`, `demands more than ${MOST_FORCED_REPETITIONS}`);
}

function stringExpression(schema: Schema, path: string): string {
  const format = schema["format"];
  const least = fewest(schema, "minLength", path);
  const most = count(schema["maxLength"], `${path}.maxLength`);
  if (format !== undefined) {
    const body = typeof format === "string" ? STRING_FORMATS[format] : undefined;
    if (body === undefined) throw unenforceable(`${path}.format`, "is a format no grammar here has");
    if (least > 0 || most !== undefined) throw unenforceable(`${path}.format`, "comes with a length");
    return String.raw`"\"" ${body} "\""`;
  }
  if (least === 0 && most === undefined) return "string";
  if (most !== undefined && most < least) throw unenforceable(path, "allows no length");
  return String.raw`"\"" char{${least},${most ?? ""}} "\""`;
}

function bound(schema: Schema, keyword: string, path: string): number | undefined {
  const value = schema[keyword];
  if (value === undefined) return undefined;
  if (typeof value !== "number" || !Number.isFinite(value))
    throw unenforceable(`${path}.${keyword}`, "is not a number");
  return value;
}

const given = (limits: readonly (number | undefined)[]): readonly number[] =>
  limits.filter((limit) => limit !== undefined);

function integerExpression(schema: Schema, path: string): string {
  if (schema["multipleOf"] !== undefined && schema["multipleOf"] !== 1) {
    throw unenforceable(`${path}.multipleOf`, "is a constraint no grammar here has");
  }
  const above = bound(schema, "exclusiveMinimum", path);
  const below = bound(schema, "exclusiveMaximum", path);
  const lows = [bound(schema, "minimum", path), above === undefined ? undefined : Math.floor(above) + 1];
  const highs = [bound(schema, "maximum", path), below === undefined ? undefined : Math.ceil(below) - 1];
  if (given(lows).length === 0 && given(highs).length === 0) return "integer";
  const low = Math.max(Number.MIN_SAFE_INTEGER, ...given(lows));
  const high = Math.min(Number.MAX_SAFE_INTEGER, ...given(highs));
  const patterns = integerRangePatterns(BigInt(Math.ceil(low)), BigInt(Math.floor(high)));
  if (patterns.length === 0) throw unenforceable(path, "allows no integer");
  return `(${patterns.join(" | ")})`;
}

/** Of ranges over fractions only "not negative" is a grammar. */
function numberExpression(schema: Schema, path: string): string {
  const low = bound(schema, "minimum", path);
  if (bound(schema, "exclusiveMinimum", path) !== undefined)
    throw unenforceable(`${path}.exclusiveMinimum`, "is a bound on a fraction");
  if (low === undefined) return "number";
  if (low !== 0) throw unenforceable(`${path}.minimum`, "is a bound on a fraction");
  return "unsigned";
}
