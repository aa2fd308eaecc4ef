import { isRecord } from "../../../core/json.ts";
import {
  EMPTY_IMPORT,
  modelId,
  type ImportedFleet,
  type ImportNote,
  type WrittenModel,
} from "../imported/import-report.ts";
import {
  noteAt,
  noteLostModel,
  type LocatedDocument,
  type NotedDocument,
} from "../imported/located-document.ts";

type Block = Readonly<Record<string, unknown>>;

const table = (value: unknown): Block => (isRecord(value) ? value : {});

/** LocalAI's model files: one model a file, or a list of them. */
export function importLocalAi(
  documents: readonly LocatedDocument[],
  neuron: { readonly name: string; readonly endpoint: string },
): ImportedFleet {
  const notes: ImportNote[] = [];
  const taken = new Set<string>();
  const models = documents.flatMap((document) => {
    const noted: NotedDocument = { document, notes };
    const list: readonly unknown[] = Array.isArray(document.value) ? document.value : [document.value];
    return list.flatMap((value, index) =>
      importModel(noted, { block: table(value), at: Array.isArray(document.value) ? [index] : [], taken }),
    );
  });
  return { ...EMPTY_IMPORT, neurons: [neuron], models, notes };
}

interface Entry {
  readonly block: Block;
  readonly at: readonly (string | number)[];
  readonly taken: Set<string>;
}

function importModel(noted: NotedDocument, { block, at, taken }: Entry): WrittenModel[] {
  const name = typeof block["name"] === "string" ? block["name"] : "";
  const lost = { path: [...at, "name"], model: name === "" ? "a model without a name" : name };
  const id = modelId(name, taken);
  const backend = typeof block["backend"] === "string" ? block["backend"] : "llama-cpp";
  const file = table(block["parameters"])["model"];
  const reason = whyLost({ id, isTaken: taken.has(id), backend, file });
  if (reason !== undefined) {
    noteLostModel(noted, lost, reason);
    return [];
  }
  taken.add(id);
  if (id !== name) noteAt(noted, lost.path, `an id has no spaces: clients ask for \`${id}\` here`);
  noteRest(noted, { block, at, taken });
  const context = block["context_size"];
  return [
    {
      id,
      source: sourceOf(String(file)),
      ...(typeof context === "number" && Number.isInteger(context) && context > 0 ? { context } : {}),
      ...(block["embeddings"] === true ? { capabilities: ["embeddings"] } : {}),
    },
  ];
}

function whyLost(entry: {
  readonly id: string;
  readonly isTaken: boolean;
  readonly backend: string;
  readonly file: unknown;
}): string | undefined {
  if (entry.id === "") return "it has no name";
  if (entry.isTaken) return "another model has this name already";
  if (!/llama|^$/.test(entry.backend)) {
    return `its backend is ${entry.backend}: run it as a service of its own and declare harness = "openai" with its endpoint`;
  }
  const isFile = typeof entry.file === "string" && entry.file !== "";
  return isFile ? undefined : "it names no file: `parameters.model` is missing";
}

/** `huggingface://org/repo/file.gguf`, an address, a path, or the name of a file in the models' directory. */
function sourceOf(file: string): string {
  const [, repository, inside] = /^(?:huggingface|hf):\/\/([^/]+\/[^/]+)\/(.+?)(?:@.*)?$/.exec(file) ?? [];
  if (repository !== undefined) return `hf:${repository}:${inside ?? ""}`;
  if (/^https?:\/\//.test(file)) return file;
  return file.startsWith("/") ? `file:${file}` : file;
}

const READ = new Set(["name", "backend", "context_size", "embeddings"]);

const REASONS: Readonly<Record<string, string>> = {
  template: "the template in the model's file is used",
  threads: "the worker chooses it for the machine",
  f16: "the worker chooses it for the machine",
  mmap: "the worker chooses it for the machine",
  batch: "the worker chooses it for the machine",
  flash_attention: "the worker chooses it for the machine",
  gpu_layers: "here a model is held by its devices as a whole",
  mmproj: "the built-in engine does not handle images",
  stopwords: "stop texts come from the request, then from the model's own file",
  system_prompt: "nothing is put into requests",
  usage: "fleet files have no place for it; a comment may hold it",
  description: "fleet files have no place for it; a comment may hold it",
};

function noteRest(noted: NotedDocument, { block, at }: Entry): void {
  for (const key of Object.keys(block)) {
    if (READ.has(key) || key === "parameters") continue;
    noteAt(noted, [...at, key], REASONS[key] ?? "cortex has no setting for it");
  }
  for (const key of Object.keys(table(block["parameters"]))) {
    if (key === "model") continue;
    noteAt(
      noted,
      [...at, "parameters", key],
      "sampling comes from the request, then from the model's own file",
    );
  }
}
