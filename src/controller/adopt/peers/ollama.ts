import {
  EMPTY_IMPORT,
  type ImportedFleet,
  type ImportNote,
  type WrittenModel,
} from "../imported/import-report.ts";

/** A Modelfile, from a file or from a running Ollama, and what the model is called. */
export interface NamedModelfile {
  readonly name: string;
  /** Where it comes from: the path of the file, or the address of the server. */
  readonly place: string;
  readonly text: string;
}

interface Instruction {
  readonly line: number;
  readonly keyword: string;
  readonly value: string;
}

/** Ollama's Modelfiles. `:latest` is what Ollama adds to a name without a tag, so it goes again. */
export function importOllama(
  modelfiles: readonly NamedModelfile[],
  neuron: { readonly name: string; readonly endpoint: string },
): ImportedFleet {
  const notes: ImportNote[] = [];
  const models = modelfiles.flatMap((file) => importModel(file, notes));
  return { ...EMPTY_IMPORT, neurons: [neuron], models, notes };
}

function importModel({ name, place, text }: NamedModelfile, notes: ImportNote[]): WrittenModel[] {
  const id = name.replace(/:latest$/, "");
  const instructions = readModelfile(text);
  const from = instructions.find(({ keyword }) => keyword === "FROM");
  const lost = whyLost(id, from?.value);
  if (lost !== undefined) {
    notes.push({ file: place, line: from?.line ?? null, what: `${id}: FROM`, reason: lost, lost_model: id });
    return [];
  }
  const source = sourceOf(from?.value ?? "");
  notes.push(...notesOn({ id, place, instructions, source: source.source }));
  const context = contextOf(instructions);
  return [{ id, ...source, ...(context === undefined ? {} : { context }) }];
}

interface ReadModelfile {
  readonly id: string;
  readonly place: string;
  readonly instructions: readonly Instruction[];
  readonly source: string;
}

const notesOn = ({ id, place, instructions, source }: ReadModelfile): ImportNote[] =>
  instructions.flatMap(({ line, keyword, value }) => {
    const reason = noteOn(keyword, { value, source });
    const what = keyword === "PARAMETER" ? `${id}: PARAMETER ${firstWord(value)}` : `${id}: ${keyword}`;
    return reason === undefined ? [] : [{ file: place, line, what, reason }];
  });

/** The last one counts, as Ollama has it. */
function contextOf(instructions: readonly Instruction[]): number | undefined {
  const sizes = instructions.flatMap(({ keyword, value }) =>
    keyword === "PARAMETER" ? (/^num_ctx\s+(\d+)$/.exec(value)?.[1] ?? []) : [],
  );
  const size = Number(sizes.at(-1) ?? 0);
  return size > 0 ? size : undefined;
}

function whyLost(id: string, from: string | undefined): string | undefined {
  if (!/^\S+$/.test(id)) return "an id has no spaces";
  if (from === undefined) return "it has no FROM, so there is nothing to tell its file from";
  if (/\.safetensors$|\/$/.test(from)) return "safetensors: cortex loads GGUF files";
  const isFile = /[/\\]|\.gguf$/i.test(from) && !isReference(from);
  return isFile ? undefined : `it is made from \`${from}\`: \`ollama show --modelfile ${id}\` names its file`;
}

/** `qwen3:8b`, `registry.ollama.ai/library/qwen3` and `hf.co/org/repo:Q4_K_M` name models, not files. */
const isReference = (from: string): boolean =>
  !/^(?:[./~]|[A-Za-z]:[/\\])/.test(from) && !/\.gguf$/i.test(from);

/** Ollama keeps its files under their digest, so that digest can be pinned. */
function sourceOf(from: string): { readonly source: string; readonly sha256?: string } {
  const digest = /[/\\]sha256-([0-9a-f]{64})$/.exec(from)?.[1];
  const pinned = digest === undefined ? {} : { sha256: digest };
  if (from.startsWith("/")) return { source: `file:${from}`, ...pinned };
  return { source: from.split(/[/\\]/).at(-1) ?? from, ...pinned };
}

const SAMPLING = "sampling comes from the request, then from the model's own file";

const KEYWORD_REASONS: Readonly<Record<string, string | undefined>> = {
  TEMPLATE: "the template in the model's file is used",
  SYSTEM: "nothing is put into requests",
  MESSAGE: "nothing is put into requests",
  ADAPTER: "the built-in engine has no setting for it yet",
  LICENSE: "fleet files have no place for it; a comment may hold it",
  REQUIRES: "it is of Ollama's own versions",
  RENDERER: "the template in the model's file is used",
  PARSER: "the worker tells tool calls and reasoning by itself",
};

function noteOn(
  keyword: string,
  { value, source }: { readonly value: string; readonly source: string },
): string | undefined {
  if (keyword === "FROM") {
    return source.startsWith("file:") ? undefined : "the model store is searched for the file's name";
  }
  if (keyword !== "PARAMETER") return KEYWORD_REASONS[keyword] ?? "cortex does not know this instruction";
  const name = firstWord(value);
  if (name === "num_ctx") return undefined;
  if (/^num_(?:gpu|thread|batch)$|^main_gpu$|^low_vram$|^use_mmap$|^numa$/.test(name)) {
    return "the worker chooses it for the machine";
  }
  return SAMPLING;
}

const firstWord = (text: string): string => text.split(/\s+/)[0] ?? "";

/** Instructions with their line; a value in `"""` may go over several lines. */
export function readModelfile(text: string): Instruction[] {
  const lines = text.split(/\r?\n/);
  const found: Instruction[] = [];
  for (let index = 0; index < lines.length; index += 1) {
    const [, keyword, rest = ""] = /^\s*([A-Za-z]+)\s+(.*)$/.exec(lines[index] ?? "") ?? [];
    if (keyword === undefined) continue;
    const line = index + 1;
    let value = rest.trim();
    if (/"""/.test(value) && !/"""[\s\S]*"""/.test(value)) {
      while (index + 1 < lines.length) {
        index += 1;
        value += `\n${lines[index] ?? ""}`;
        if ((lines[index] ?? "").includes('"""')) break;
      }
    }
    found.push({ line, keyword: keyword.toUpperCase(), value: unquoted(value) });
  }
  return found;
}

const unquoted = (text: string): string => /^("""|")([\s\S]*)\1$/.exec(text)?.[2] ?? text;
