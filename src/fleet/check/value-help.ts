import { z } from "zod";
import { nearest } from "../../core/nearest.ts";
import { present } from "../../core/present.ts";
import { fleetSchema } from "../schema/fleet-schema.ts";
import { readQuantity } from "../text/quantity-slips.ts";
import { declaredSchemaAt, writtenSchema } from "../schema/schema-shape.ts";
import { tomlKey, tomlValue } from "../text/toml-value.ts";
import { namesInPath, type KeyPath } from "../../core/key-path.ts";

/**
 * What to write instead of a value that is not allowed: what the person most likely meant, else what such a key looks
 * like. Whatever is offered as meant is checked against the schema first.
 */
export function valueHelp(path: KeyPath, value: unknown): string {
  const meant = meantValue(path, value);
  if (meant !== undefined) {
    const how = meant.how === undefined ? "" : `, ${meant.how}`;
    return `did you mean ${assignment(path, meant.value)}${how}?`;
  }
  // A table of TOML has no text of its own, not even by way of a list that holds it.
  const said = typeof value === "string" ? value : JSON.stringify(value);
  const known = FOREIGN_VALUES[`${namesInPath(path)}=${said}`.toLowerCase()];
  return known ?? `write ${likeExample(path)}`;
}

/** What to add for a key that is missing. */
export const missingKeyHelp = (path: KeyPath): string =>
  keyOf(path) === "hash" ? HASH_HELP : `add ${likeExample(path)}`;

/** The hash of an example would be the hash of somebody's secret. */
const HASH_HELP = 'add hash = "sha256:...": printf %s "$SECRET" | sha256sum prints it';

/** How the key at `path` is written, with a word on what it is; else how the table around it is. */
function likeExample(path: KeyPath): string {
  const { description, example } = describedAt(path);
  if (example === undefined) {
    return path.length > 2
      ? likeExample(path.slice(0, -1))
      : "one of the values that docs/fleet-files.md lists";
  }
  const about = firstClause(description);
  return `it like ${assignment(path, example)}${about === "" ? "" : ` (${about})`}`;
}

interface Meant {
  readonly value: unknown;
  /** What is different from what was written, where it is easily overlooked. */
  readonly how?: string;
}

function meantValue(path: KeyPath, value: unknown): Meant | undefined {
  const schema = declaredSchemaAt(fleetSchema, path);
  const fits = ({ value: candidate }: Meant): boolean =>
    candidate !== undefined &&
    candidate !== value &&
    schema instanceof z.ZodType &&
    schema.safeParse(candidate).success;
  return candidates(path, value).find(fits);
}

function candidates(path: KeyPath, value: unknown): Meant[] {
  if (typeof value === "string") return fromText(path, value);
  if (typeof value === "number" || typeof value === "boolean") return fromBare(value);
  return Array.isArray(value) && value.length === 1
    ? [{ value: value[0] as unknown, how: "without brackets" }]
    : [];
}

const fromBare = (value: number | boolean): Meant[] => [
  ...(value === 1 ? [{ value: true }] : value === 0 ? [{ value: false }] : []),
  { value: String(value), how: "in quotes" },
  { value: [value], how: "in brackets" },
];

const UNQUOTED = "without quotes";

function fromText(path: KeyPath, text: string): Meant[] {
  const plain = text.trim();
  const { example } = describedAt(path);
  const like = typeof example === "string" ? example : "";
  return [
    { value: choiceNear(path, plain) },
    { value: WORDS_FOR_FLAGS[plain.toLowerCase()], how: UNQUOTED },
    ...(/^-?\d+(?:\.\d+)?$/.test(plain)
      ? [{ value: Number(plain), how: UNQUOTED }]
      : fromQuantity(path, plain)),
    { value: [text], how: "in brackets" },
    ...RESHAPES.map((reshape) => ({ value: reshape(plain, like) })),
  ];
}

function choiceNear(path: KeyPath, text: string): string | undefined {
  const written = writtenSchema(declaredSchemaAt(fleetSchema, path));
  return written instanceof z.ZodEnum ? nearest(text, written.options.map(String)) : undefined;
}

function fromQuantity(path: KeyPath, text: string): Meant[] {
  const quantity = readQuantity(path, text);
  return quantity === undefined ? [] : [quantity];
}

const WORDS_FOR_FLAGS: Readonly<Record<string, boolean | undefined>> = {
  true: true,
  yes: true,
  on: true,
  false: false,
  no: false,
  off: false,
};

const SCHEME = /^[a-z][a-z0-9+.-]*:\/\//;
const PORT = /:\d+$/;

/** Slips in texts with a form, each as the change that mends it. `like` is what the key usually looks like. */
const RESHAPES: readonly ((text: string, like: string) => string | undefined)[] = [
  (text) => text,
  (text) => text.toLowerCase(),
  (text) => text.replace(/^sha256:/i, "").toLowerCase(),
  (text) => text.replaceAll(/\s*([^\w\s])\s*/g, "$1").replaceAll(/\s+/g, "-"),
  (text) =>
    text
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, "-")
      .replaceAll(/^-|-$/g, ""),
  (text, like) => (/^\d+$/.test(text) && PORT.test(like) ? like.replace(PORT, `:${text}`) : undefined),
  (text, like) =>
    SCHEME.test(text) || SCHEME.test(like) ? undefined : `${text}${PORT.exec(like)?.[0] ?? ""}`,
  (text, like) => withScheme(text, like),
  (text) => text.replace(/\/v1\/*$/, ""),
];

/** `beast` is `http://beast:13131`, and `git.example/fleet` is `https://git.example/fleet`. */
function withScheme(text: string, like: string): string | undefined {
  const [scheme] = SCHEME.exec(like) ?? [];
  if (scheme === undefined || SCHEME.test(text)) return undefined;
  const port = /[:/]/.test(text) ? "" : (PORT.exec(like)?.[0] ?? "");
  return `${scheme}${text}${port}`;
}

/** Words of other systems, as `models.harness=vllm`, with what stands for them here. */
const FOREIGN_VALUES: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ["vllm", "sglang", "llama-server", "tgi", "mistralrs", "ollama", "llama-swap"].map((engine) => [
      `models.harness=${engine}`,
      `an engine of its own: write harness = "openai", and endpoint = "http://..." where its neuron reaches it`,
    ]),
  ),
  ...Object.fromEntries(
    ["llama.cpp", "llamacpp", "candle", "node-llama-cpp", "gguf"].map((engine) => [
      `models.harness=${engine}`,
      'write harness = "llama", the engine that is built in, or leave the key out',
    ]),
  ),
};

interface Described {
  readonly description: string;
  readonly example: unknown;
}

const describedAt = (path: KeyPath): Described => described(declaredSchemaAt(fleetSchema, path));

/** What the schema says about a key: outer layers (a default, an optional) win over what they wrap. */
function described(schema: unknown): Described {
  if (!(schema instanceof z.ZodType)) return { description: "", example: undefined };
  const { description, examples } = schema.meta() ?? {};
  const example: unknown = Array.isArray(examples) ? examples[0] : usualValue(schema);
  const inner = described(innerOf(schema));
  return { description: description ?? inner.description, example: example ?? inner.example };
}

function innerOf(schema: z.ZodType): unknown {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodOptional) return schema.unwrap();
  return schema instanceof z.ZodPipe ? schema.in : undefined;
}

function usualValue(schema: z.ZodType): unknown {
  if (schema instanceof z.ZodDefault) return schema.def.defaultValue;
  return schema instanceof z.ZodEnum ? schema.options[0] : undefined;
}

/** The first thought of a description: what follows is for the reference. */
const firstClause = (text: string): string => present(text.split(/[;.](?:\s|$)/)[0], "the first clause");

const keyOf = (path: KeyPath): string => String(path.findLast((step) => typeof step === "string"));

/** `replicas = 1`; an element of a list stands alone. */
function assignment(path: KeyPath, value: unknown): string {
  const text = tomlValue(value);
  if (typeof path.at(-1) === "number") return `\`${text}\``;
  return `\`${tomlKey(keyOf(path))} = ${text}\``;
}
