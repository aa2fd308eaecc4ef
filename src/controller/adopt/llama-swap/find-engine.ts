import { shellWords } from "./shell-words.ts";

/**
 * Where in a command line llama-server begins. What people write is seldom the bare program: it is niced, pinned to
 * cores, given variables, run by a shell, in a container, under another name, or on Windows.
 */
export interface FoundEngine {
  readonly engine: "llama-server" | "other";
  /** The words that are the engine's own: its flags and their values. */
  readonly words: readonly string[];
  /** The words in front of them: wrappers, variables, a container's flags. */
  readonly before: readonly string[];
  readonly inContainer: boolean;
  /** Set when the program has another name, and only its flags tell. */
  readonly guessedFrom?: string;
}

const SHELL_DEPTH = 4;

/** Words of a command line, those of a shell's `-c` in their place. */
export function findEngine(command: string): FoundEngine {
  const words = insideShells(shellWords(command), SHELL_DEPTH);
  const container = words.findIndex((word) => /^(?:docker|podman|nerdctl)$/.test(programName(word)));
  const server = words.findIndex(isLlamaServer);
  const inContainer = container !== -1 && (server === -1 || container < server);
  if (server !== -1) return split("llama-server", words, { from: server + 1, inContainer });
  const image = inContainer ? words.findIndex((word, index) => isLlamaImage(word, words[index - 1])) : -1;
  const flags = image === -1 ? words : words.slice(image + 1);
  const isKnown = words.some((word) => OTHER_ENGINES.test(programName(word)));
  if (image !== -1 && !isKnown && namesModel(flags, /./)) {
    return split("llama-server", words, { from: image + 1, inContainer });
  }
  if (isKnown || !namesModel(words, /\.gguf$/i)) return split("other", words, { from: 0, inContainer });
  const guessedFrom = programName(words.find((word) => !isVariable(word)) ?? "");
  return { ...split("llama-server", words, { from: 0, inContainer }), guessedFrom };
}

interface Split {
  readonly from: number;
  readonly inContainer: boolean;
}

function split(
  engine: FoundEngine["engine"],
  words: readonly string[],
  { from, inContainer }: Split,
): FoundEngine {
  const rest = words.slice(from).flatMap((word) => (/[^;];$/.test(word) ? [word.slice(0, -1), ";"] : [word]));
  const end = rest.findIndex((word) => /^(?:;|&&?|\|\|?|\d?>{1,2}.*|<)$/.test(word));
  return {
    engine,
    words: end === -1 ? rest : rest.slice(0, end),
    before: words.slice(0, from),
    inContainer,
  };
}

/** `sh -c "..."`, `bash -lc '...'`, `powershell -Command "..."`: what is quoted is the command. */
function insideShells(words: readonly string[], depth: number): readonly string[] {
  const shell = words.findIndex((word) => /^(?:ba|da|z|k)?sh$|^pwsh$|^powershell$/.test(programName(word)));
  if (shell === -1 || depth === 0) return words;
  const flag = words.findIndex(
    (word, index) => index > shell && (/^-[a-z]*c$/.test(word) || /^-command$/i.test(word)),
  );
  const script = flag === -1 ? undefined : words[flag + 1];
  if (script === undefined) return words;
  const inner = insideShells(shellWords(script), depth - 1);
  return [...words.slice(0, flag + 1), ...inner, ...words.slice(flag + 2)];
}

/** `C:\llama\llama-server.exe` is llama-server. */
const programName = (word: string): string =>
  (word.split(/[/\\]/).at(-1) ?? word).toLowerCase().replace(/\.(?:exe|cmd|bat|sh)$/, "");

/** Builds have names of their own: llama-server-cuda, ik-llama-server, llama-server-b6000. */
function isLlamaServer(word: string): boolean {
  const name = programName(word);
  if (word.startsWith("-") || isVariable(word) || NO_PROGRAM.test(name)) return false;
  return /^(?:.*[-_.])?llama[-_.]?(?:cpp[-_.])?server(?:[-_.].*)?$/.test(name) && !/[:@]/.test(name);
}

const NO_PROGRAM = /\.(?:log|sock|pid|json|toml|ya?ml|txt|conf|env|gguf|service)$/;

const OTHER_ENGINES =
  /vllm|sglang|tabby|kobold|whisper|sd-server|stable-diffusion|mlx|tts|ollama|exllama|infinity|comfy|speaches/;

/** The image of a container, and no value of a flag such as `--name llama-cpp`. */
const isLlamaImage = (word: string, previous: string | undefined): boolean =>
  !word.startsWith("-") &&
  /llama[._-]?cpp|llama-server/i.test(word) &&
  !/^-(?:-name|-hostname|-network|-label|-volume|-mount|-env|v|e|h|l)$/.test(previous ?? "");

export const isVariable = (word: string): boolean => /^[A-Za-z_][A-Za-z0-9_]*=/.test(word);

const namesModel = (words: readonly string[], file: RegExp): boolean =>
  words.some((word, index) => {
    if (/^(?:-hf|-hfr|--hf-repo|-mu|--model-url)(?:=|$)/.test(word)) return true;
    if (/^(?:-m|--model)$/.test(word)) return file.test(words[index + 1] ?? "");
    return word.startsWith("--model=") && file.test(word);
  });
