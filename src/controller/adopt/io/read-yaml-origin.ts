import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { CortexError } from "../../../core/errors.ts";
import { isRecord } from "../../../core/json.ts";
import type { LocatedDocument } from "../imported/located-document.ts";
import { recogniseDocument, type DocumentKind } from "../peers/recognise-document.ts";
import { readYaml } from "./read-yaml.ts";

const FILE_OF: Readonly<Record<DocumentKind, string>> = {
  "llama-swap": "llama-swap's config.yaml",
  litellm: "LiteLLM's config.yaml",
  localai: "LocalAI's models directory or one of its YAML files",
};

/** The YAML files that a path stands for: itself, or those of a directory. */
async function yamlFiles(path: string): Promise<string[]> {
  if (!(await stat(path)).isDirectory()) return [path];
  const names = await readdir(path);
  return names
    .filter((name) => /\.ya?ml$/.test(name))
    .toSorted()
    .map((name) => join(path, name));
}

const read = async (path: string): Promise<LocatedDocument> =>
  readYaml({ path, text: await readFile(path, "utf8") });

/** What the YAML at a path is; undefined where there is none that is known. Throws `fleet_invalid` for other systems' files. */
export async function recogniseYaml(path: string): Promise<DocumentKind | undefined> {
  for (const file of await yamlFiles(path)) {
    const kind = recogniseDocument((await read(file)).value);
    if (typeof kind === "string") return kind;
    if (kind !== undefined && file === path) throw wrongKind(file, kind.description);
  }
  return undefined;
}

/** The documents of this kind at a path. Throws `fleet_invalid` where there is none, and names what is there instead. */
export async function readYamlOrigin(path: string, kind: DocumentKind): Promise<readonly LocatedDocument[]> {
  const files = await yamlFiles(path);
  const documents = await Promise.all(files.map(read));
  const found = documents.filter(({ value }) => {
    const seen = recogniseDocument(value);
    return seen === kind || (kind === "llama-swap" && seen === undefined && hasModels(value));
  });
  if (found.length > 0) return found;
  const seen = documents.length === 1 ? recogniseDocument(documents[0]?.value) : undefined;
  if (seen !== undefined) {
    throw wrongKind(path, typeof seen === "string" ? FILE_OF[seen] : seen.description);
  }
  const reason =
    kind === "llama-swap"
      ? "has no `models`, so it is not a llama-swap configuration"
      : `is not ${FILE_OF[kind]}`;
  throw new CortexError("fleet_invalid", `${path} ${reason}`, { next: `name ${FILE_OF[kind]}` });
}

/** A configuration whose models have lost their commands is still llama-swap's, if a person says so. */
const hasModels = (value: unknown): boolean => isRecord(value) && isRecord(value["models"]);

const wrongKind = (path: string, description: string): CortexError =>
  new CortexError("fleet_invalid", `${path} is ${description}`, {
    next: "cortex import reads helexa's files, llama-swap's and LiteLLM's config.yaml, LocalAI's YAML, Modelfiles, a running Ollama and LM Studio's models folder",
  });
