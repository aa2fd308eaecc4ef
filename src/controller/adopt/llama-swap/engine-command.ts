import { findEngine, isVariable, type FoundEngine } from "./find-engine.ts";

/** What the command line of an engine says about its model. */
export interface EngineCommand {
  readonly engine: "llama-server" | "other";
  readonly source?: string;
  readonly context?: number;
  readonly parallel?: number;
  readonly minDevices?: number;
  readonly capabilities?: readonly string[];
  /** The port that it listens on, when the command fixes one. */
  readonly port?: number;
  /** Flags that no setting stands for, each with the reason. */
  readonly notes: readonly { readonly what: string; readonly reason: string }[];
}

type Note = EngineCommand["notes"][number];

/** Flags with their value; undefined for a switch. Later ones win, as engines have it. */
type FlagValues = ReadonlyMap<string, string | undefined>;

interface Flags extends FoundEngine {
  readonly values: FlagValues;
}

/** Short forms and synonyms, by the name that this file uses. */
const SAME_FLAG: Readonly<Record<string, string>> = {
  "-m": "--model",
  "-mu": "--model-url",
  "-hf": "--hf-repo",
  "-hfr": "--hf-repo",
  "-hff": "--hf-file",
  "-c": "--ctx-size",
  "-np": "--parallel",
  "-ts": "--tensor-split",
  "-dev": "--device",
  "--embeddings": "--embedding",
  "--rerank": "--reranking",
  "-ngl": "--n-gpu-layers",
  "--gpu-layers": "--n-gpu-layers",
  "--n_gpu_layers": "--n-gpu-layers",
  "--n_ctx": "--ctx-size",
  "-a": "--alias",
};

/** Settings that cortex makes itself, to the same end: nothing is lost. */
const COVERED = new Set([
  "--host",
  "--port",
  "--n-gpu-layers",
  "--alias",
  "--jinja",
  "--no-webui",
  "--metrics",
  "--slots",
]);

const ENGINE_CALIBRATES = "the worker chooses it for the machine";
const SAMPLING = "sampling comes from the request, then from the model's own file";
const CACHE_TYPE = "declare `kv_cache_type`, which is of keys and values alike";
const DRAFT = "declare `draft` with the source of that model";
const LORA = "declare `lora` with the sources of the adapters";

const FLAG_REASONS: Readonly<Record<string, string>> = {
  "-t": ENGINE_CALIBRATES,
  "--threads": ENGINE_CALIBRATES,
  "--threads-batch": ENGINE_CALIBRATES,
  "-b": ENGINE_CALIBRATES,
  "--batch-size": ENGINE_CALIBRATES,
  "-ub": ENGINE_CALIBRATES,
  "--ubatch-size": ENGINE_CALIBRATES,
  "-fa": ENGINE_CALIBRATES,
  "--flash-attn": ENGINE_CALIBRATES,
  "--temp": SAMPLING,
  "--temperature": SAMPLING,
  "--top-p": SAMPLING,
  "--top-k": SAMPLING,
  "--min-p": SAMPLING,
  "--repeat-penalty": SAMPLING,
  "--presence-penalty": SAMPLING,
  "--frequency-penalty": SAMPLING,
  "--seed": SAMPLING,
  "--mmproj": "the built-in engine does not handle images",
  "-md": DRAFT,
  "--model-draft": DRAFT,
  "--lora": LORA,
  "--lora-scaled": LORA,
  "-ctk": CACHE_TYPE,
  "-ctv": CACHE_TYPE,
  "--cache-type-k": CACHE_TYPE,
  "--cache-type-v": CACHE_TYPE,
  "--chat-template": "the template in the model's file is used",
  "--chat-template-file": "the template in the model's file is used",
  "--api-key": "neurons have a token of their own: --token-file",
  "--main-gpu": "which devices hold a model is the plan's choice",
  "--split-mode": "which devices hold a model is the plan's choice",
};

/** Reads a command line; what it runs is never run. */
export function readEngineCommand(command: string): EngineCommand {
  const found = findEngine(command);
  const flags = { ...found, values: readFlags(found.words) };
  const port = wholeNumber(flags.values.get("--port"));
  const base = port === undefined ? {} : { port };
  if (found.engine === "other") return { engine: "other", ...base, notes: [] };
  const notes: Note[] = [];
  const parallel = wholeNumber(flags.values.get("--parallel"));
  return {
    engine: "llama-server",
    ...base,
    ...readSource(flags, notes),
    ...readContext(flags, parallel),
    ...readDevices(flags, notes),
    ...readCapabilities(flags),
    notes: [...notes, ...notesBefore(flags), ...restOf(flags)],
  };
}

function readFlags(words: readonly string[]): FlagValues {
  const values = new Map<string, string | undefined>();
  for (const [index, word] of words.entries()) {
    if (!/^--?[A-Za-z]/.test(word)) continue;
    const equals = word.startsWith("--") ? word.indexOf("=") : -1;
    const name = equals === -1 ? word : word.slice(0, equals);
    const next = words[index + 1];
    const value =
      equals === -1
        ? next === undefined || /^--?[A-Za-z]/.test(next)
          ? undefined
          : next
        : word.slice(equals + 1);
    values.set(SAME_FLAG[name] ?? name, value);
  }
  return values;
}

const wholeNumber = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;

function readSource(
  { values, before, words, inContainer }: Flags,
  notes: Note[],
): Pick<EngineCommand, "source"> {
  const repository = values.get("--hf-repo");
  if (repository !== undefined) {
    const file = values.get("--hf-file");
    return { source: `hf:${file === undefined ? repository : `${repository.split(":")[0] ?? ""}:${file}`}` };
  }
  const url = values.get("--model-url");
  if (url !== undefined) return { source: url };
  const path = values.get("--model");
  if (path === undefined) {
    notes.push({ what: "no --model", reason: "it names no file, so the model store is searched for its id" });
    return {};
  }
  const mounted = hostPath(path, [...before, ...words]);
  const onHost = mounted ?? path;
  if (onHost.startsWith("/")) {
    if (mounted === undefined && inContainer) {
      const reason = "no directory of the host is mounted there: write where the file lies on the machine";
      notes.push({ what: `--model ${path}`, reason });
    }
    return { source: `file:${onHost}` };
  }
  const reason = /^[A-Za-z]:[/\\]|^\\\\/.test(path)
    ? "a path of Windows; the model store is searched for the file's name"
    : "a relative path is another file on each machine; the model store is searched for its name";
  notes.push({ what: `--model ${path}`, reason });
  return { source: path.split(/[/\\]/).at(-1) ?? path };
}

/** A path inside a container, seen from outside of it; undefined where no mount leads there. */
function hostPath(path: string, words: readonly string[]): string | undefined {
  for (const [host, inside] of words.flatMap((word, index) => mountOf(word, words[index + 1] ?? ""))) {
    const base = inside.replace(/\/$/, "");
    if (host.startsWith("/") && base !== "" && path.startsWith(`${base}/`)) {
      return `${host.replace(/\/$/, "")}${path.slice(base.length)}`;
    }
  }
  return undefined;
}

/** The directory of the host and its place in the container: `-v /srv:/models`, `--mount type=bind,src=/srv,dst=/models`. */
function mountOf(word: string, next: string): (readonly [host: string, inside: string])[] {
  const [flag = "", ...attached] = word.split("=");
  const value = attached.length === 0 ? next : attached.join("=");
  if (flag === "-v" || flag === "--volume") {
    const [host = "", inside = ""] = value.split(":");
    return [[host, inside]];
  }
  if (flag !== "--mount") return [];
  const [, host = ""] = /(?:^|,)(?:source|src)=([^,]*)/.exec(value) ?? [];
  const [, inside = ""] = /(?:^|,)(?:target|dst|destination)=([^,]*)/.exec(value) ?? [];
  return [[host, inside]];
}

/** There, the context is shared by all slots; here, each request has its own. */
function readContext(
  { values }: Flags,
  parallel: number | undefined,
): Pick<EngineCommand, "context" | "parallel"> {
  const total = wholeNumber(values.get("--ctx-size")) ?? 0;
  const slots = parallel ?? 1;
  return {
    parallel: slots,
    ...(total === 0 ? {} : { context: Math.max(1, Math.floor(total / Math.max(1, slots))) }),
  };
}

function readDevices({ values }: Flags, notes: Note[]): Pick<EngineCommand, "minDevices"> {
  const split = values
    .get("--tensor-split")
    ?.split(/[,/]/)
    .filter((share) => Number(share) > 0);
  const devices = values.get("--device");
  const count = split?.length ?? devices?.split(",").length ?? 1;
  const carried = count > 1 ? "carried as min_devices; " : "";
  const shares = values.get("--tensor-split");
  if (split !== undefined && (new Set(split).size > 1 || shares !== split.join(","))) {
    notes.push({
      what: `--tensor-split ${shares}`,
      reason: `${carried}how it is split is the engine's choice`,
    });
  }
  notes.push(...deviceNotes(devices, carried), ...offloadNotes(values.get("--n-gpu-layers")));
  return count > 1 ? { minDevices: count } : {};
}

function deviceNotes(devices: string | undefined, carried: string): Note[] {
  if (devices === undefined) return [];
  const reason = devices === "none" ? ON_CPU : `${carried}which devices hold a model is the plan's choice`;
  return [{ what: `--device ${devices}`, reason }];
}

const ON_CPU =
  "it ran on the CPU there; here it goes to the devices of its neuron: pin it to one without a GPU";

/** As many layers as nobody has mean all of them; a smaller number may be a part. */
const ALL_LAYERS = 99;

function offloadNotes(layers: string | undefined): Note[] {
  const number = wholeNumber(layers);
  if (number === undefined || number >= ALL_LAYERS) return [];
  const part = "if that was a part, the rest ran on the CPU; here a model is held by its devices as a whole";
  return [{ what: `--n-gpu-layers ${number}`, reason: number === 0 ? ON_CPU : part }];
}

function readCapabilities({ values }: Flags): Pick<EngineCommand, "capabilities"> {
  const capabilities = [
    ...(values.has("--embedding") ? ["embeddings"] : []),
    ...(values.has("--reranking") ? ["rerank"] : []),
  ];
  return capabilities.length === 0 ? {} : { capabilities };
}

const READ = new Set([
  "--model",
  "--model-url",
  "--hf-repo",
  "--hf-file",
  "--ctx-size",
  "--parallel",
  "--tensor-split",
  "--device",
  "--embedding",
  "--reranking",
]);

const STARTS_ITS_OWN = "the neuron starts its own workers: what stands before the engine stays behind";

/** What wraps the engine, without the values of variables: they may be secrets. */
function notesBefore({ before, inContainer, guessedFrom }: Flags): Note[] {
  const guessed =
    guessedFrom === undefined
      ? []
      : [{ what: guessedFrom, reason: "not known here; its flags were read as llama-server's" }];
  if (inContainer) return [...guessed, ...containerNotes(before)];
  const wrappers = before
    .slice(0, -1)
    .map((word) => (isVariable(word) ? `${word.split("=")[0] ?? ""}=` : word));
  return wrappers.length === 0 ? guessed : [...guessed, { what: wrappers.join(" "), reason: STARTS_ITS_OWN }];
}

const containerNotes = (before: readonly string[]): Note[] =>
  [...readFlags(before).keys()]
    .filter((flag) => !CONTAINER_FLAGS.has(flag) && !CONTAINER_FLAGS.has(flag.replace(/=.*$/s, "")))
    .map((flag) => ({
      what: flag.replace(/=.*$/s, ""),
      reason: "it belongs to a container, and cortex does not start containers",
    }));

function restOf({ inContainer, values }: Flags): Note[] {
  const ownFlags = inContainer ? CONTAINER_FLAGS : new Set<string>();
  return [...values].flatMap(([flag, value]): Note[] => {
    if (READ.has(flag) || COVERED.has(flag) || ownFlags.has(flag)) return [];
    const name = flag.replace(/=.*$/s, "");
    const what = value === undefined || HOLDS_SECRETS.test(flag) ? name : `${name} ${value}`;
    return [{ what, reason: FLAG_REASONS[flag] ?? "cortex has no setting for it" }];
  });
}

/** A value may be a secret (a token, a variable, a header of requests); the names of flags are not. */
const HOLDS_SECRETS = /key|token|secret|password|header|^--env|^-(?:e|H|hft)$/i;

const CONTAINER_FLAGS = new Set([
  "--name",
  "--init",
  "--rm",
  "-p",
  "-v",
  "--volume",
  "--mount",
  "--gpus",
  "--runtime",
  "-it",
  "-d",
]);
