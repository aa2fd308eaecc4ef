import { isRecord } from "../../../core/json.ts";

/** What a YAML document is, told by its content: file names say little (three systems call theirs config.yaml). */
export type DocumentKind = "llama-swap" | "litellm" | "localai";

interface Foreign {
  /** What it is, as in "is a profile of olla". */
  readonly description: string;
}

export function recogniseDocument(value: unknown): DocumentKind | Foreign | undefined {
  if (Array.isArray(value)) return value.some(isLocalAi) ? "localai" : undefined;
  if (!isRecord(value)) return undefined;
  if (Array.isArray(value["model_list"])) return "litellm";
  const description = FOREIGN.find(({ matches }) => matches(value))?.description;
  if (description !== undefined) return { description };
  if (isRecord(value["models"]) && Object.values(value["models"]).some(hasCommand)) return "llama-swap";
  return isLocalAi(value) ? "localai" : undefined;
}

const hasCommand = (block: unknown): boolean => isRecord(block) && Object.hasOwn(block, "cmd");

const isLocalAi = (value: unknown): boolean =>
  isRecord(value) &&
  typeof value["name"] === "string" &&
  ["parameters", "backend", "context_size"].some((key) => Object.hasOwn(value, key));

type Keys = Readonly<Record<string, unknown>>;

const has =
  (...keys: readonly string[]) =>
  (value: Keys): boolean =>
    keys.every((key) => Object.hasOwn(value, key));

const FOREIGN: readonly { readonly description: string; readonly matches: (value: Keys) => boolean }[] = [
  { description: "a profile of olla", matches: has("name", "routing", "api") },
  { description: "a profile of olla", matches: has("name", "characteristics", "detection") },
  { description: "olla's configuration", matches: has("proxy", "discovery") },
  { description: "a file of Docker Compose", matches: has("services") },
  { description: "an object of Kubernetes", matches: has("apiVersion", "kind") },
  {
    description: "Continue's configuration",
    matches: (value) => Array.isArray(value["models"]) && has("name", "version")(value),
  },
];
