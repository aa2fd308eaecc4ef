import { homedir } from "node:os";
import envPaths from "env-paths";

/** Where `hf:` sources come from. */
export interface ModelHubAddress {
  /** `HF_ENDPOINT`: a mirror, or https://huggingface.co. */
  readonly endpoint: string;
  /** `HF_TOKEN`, for repositories that ask for one. */
  readonly token: string | undefined;
}

/** The process environment as the rest of cortex sees it: read here and nowhere else. */
export interface Environment {
  /** Every `CORTEX_*` variable, for overrides of fleet values. */
  readonly cortexVariables: Readonly<Record<string, string>>;
  /** Where cortex keeps what it makes for this user (`CORTEX_DATA_DIR`, else the platform's data directory). */
  readonly dataDirectory: string;
  readonly homeDirectory: string;
  readonly modelHub: ModelHubAddress;
  readonly logLevel: string | undefined;
  /** Colours are wanted on stdout: a terminal and no NO_COLOR (https://no-color.org). */
  readonly colour: boolean;
  /** The same for stderr, which goes its own way when either is redirected. */
  readonly stderrColour: boolean;
  /** What a child process inherits. */
  readonly inherited: Readonly<Record<string, string | undefined>>;
}

export function readEnvironment(): Environment {
  const variables = process.env;
  const cortexVariables = Object.fromEntries(
    Object.entries(variables).filter(
      (entry): entry is [string, string] => entry[0].startsWith("CORTEX_") && entry[1] !== undefined,
    ),
  );
  const mayColour = (variables["NO_COLOR"] ?? "") === "" && variables["TERM"] !== "dumb";
  return {
    cortexVariables,
    dataDirectory: dataDirectoryOf(variables),
    homeDirectory: homedir(),
    modelHub: modelHubOf(variables),
    logLevel: variables["CORTEX_LOG_LEVEL"],
    colour: mayColour && process.stdout.isTTY,
    stderrColour: mayColour && process.stderr.isTTY,
    inherited: variables,
  };
}

/** Where cortex keeps what it makes for the user of these variables. */
export const dataDirectoryOf = (variables: Readonly<Record<string, string | undefined>>): string =>
  variables["CORTEX_DATA_DIR"] ?? envPaths("cortex", { suffix: "" }).data;

const DEFAULT_HUB = "https://huggingface.co";

function modelHubOf(variables: Readonly<Record<string, string | undefined>>): ModelHubAddress {
  const endpoint = variables["HF_ENDPOINT"]?.trim() ?? "";
  const token = variables["HF_TOKEN"]?.trim() ?? "";
  return { endpoint: endpoint === "" ? DEFAULT_HUB : endpoint, token: token === "" ? undefined : token };
}
