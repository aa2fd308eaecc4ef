import { shellWords } from "./shell-words.ts";

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
interface Flags {
  readonly values: ReadonlyMap<string, string | undefined>;
  readonly program: string;
  readonly words: readonly string[];
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
const NOT_YET = "the built-in engine has no setting for it yet";

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
  "--mmproj": "images are no part of the built-in engine",
  "-md": NOT_YET,
  "--model-draft": NOT_YET,
  "--lora": NOT_YET,
  "-ctk": NOT_YET,
  "-ctv": NOT_YET,
  "--cache-type-k": NOT_YET,
  "--cache-type-v": NOT_YET,
  "--chat-template": "the template in the model's file is used",
  "--chat-template-file": "the template in the model's file is used",
  "--api-key": "neurons have a token of their own: --token-file",
  "--main-gpu": "which devices hold a model is the plan's choice",
  "--split-mode": "which devices hold a model is the plan's choice",
};

/** Reads a command line; what it runs is never run. */
export function readEngineCommand(command: string): EngineCommand {
  const flags = readFlags(shellWords(command));
  const port = wholeNumber(flags.values.get("--port"));
  const base = port === undefined ? {} : { port };
  if (!isLlamaServer(flags)) return { engine: "other", ...base, notes: [] };
  const notes: Note[] = [];
  const parallel = wholeNumber(flags.values.get("--parallel"));
  return {
    engine: "llama-server",
    ...base,
    ...readSource(flags, notes),
    ...readContext(flags, parallel),
    ...readDevices(flags, notes),
    ...readCapabilities(flags),
    notes: [...notes, ...restOf(flags)],
  };
}

function readFlags(words: readonly string[]): Flags {
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
  return { values, program: words[0] ?? "", words };
}

const isLlamaServer = ({ program, words, values }: Flags): boolean =>
  /(?:^|[/\\])llama-server[^/\\]*$/.test(program) ||
  (isContainer(program) &&
    words.some((word) => /llama\.cpp|llama-server/.test(word)) &&
    ["--model", "--hf-repo", "--model-url"].some((flag) => values.has(flag)));

const wholeNumber = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;

function readSource({ values, words, program }: Flags, notes: Note[]): Pick<EngineCommand, "source"> {
  const repository = values.get("--hf-repo");
  if (repository !== undefined) {
    const file = values.get("--hf-file");
    return { source: `hf:${file === undefined ? repository : `${repository.split(":")[0] ?? ""}:${file}`}` };
  }
  const url = values.get("--model-url");
  if (url !== undefined) return { source: url };
  const path = values.get("--model");
  if (path === undefined) return {};
  const mounted = hostPath(path, words);
  const onHost = mounted ?? path;
  if (onHost.startsWith("/")) {
    if (mounted === undefined && isContainer(program)) {
      const reason = "no directory of the host is mounted there: write where the file lies on the machine";
      notes.push({ what: `--model ${path}`, reason });
    }
    return { source: `file:${onHost}` };
  }
  notes.push({
    what: `--model ${path}`,
    reason: "a relative path is another file on each machine; the model store is searched for its name",
  });
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

const isContainer = (program: string): boolean => /(?:^|\/)(?:docker|podman)$/.test(program);

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
  const devices = values.get("--device")?.split(",");
  const count = split?.length ?? devices?.length ?? 1;
  if (split !== undefined && new Set(split).size > 1) {
    notes.push({
      what: `--tensor-split ${split.join(",")}`,
      reason: "carried as min_devices; how it is split is the engine's choice",
    });
  }
  return count > 1 ? { minDevices: count } : {};
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

function restOf({ program, values }: Flags): Note[] {
  const ownFlags = isContainer(program) ? CONTAINER_FLAGS : new Set<string>();
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
