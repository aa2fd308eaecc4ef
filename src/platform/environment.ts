import { homedir } from "node:os";
import envPaths from "env-paths";

/** The process environment as the rest of cortex sees it: read here and nowhere else. */
export interface Environment {
  /** Every `CORTEX_*` variable, for overrides of fleet values. */
  readonly cortexVariables: Readonly<Record<string, string>>;
  /** Where cortex keeps what it makes for this user (`CORTEX_DATA_DIR`, else the platform's data directory). */
  readonly dataDirectory: string;
  readonly homeDirectory: string;
  readonly logLevel: string | undefined;
  /** Colours are wanted: a terminal and no NO_COLOR (https://no-color.org). */
  readonly colour: boolean;
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
  const noColour = (variables["NO_COLOR"] ?? "") !== "";
  return {
    cortexVariables,
    dataDirectory: dataDirectoryOf(variables),
    homeDirectory: homedir(),
    logLevel: variables["CORTEX_LOG_LEVEL"],
    colour: process.stdout.isTTY && !noColour && variables["TERM"] !== "dumb",
    inherited: variables,
  };
}

/** Where cortex keeps what it makes for the user of these variables. */
export const dataDirectoryOf = (variables: Readonly<Record<string, string | undefined>>): string =>
  variables["CORTEX_DATA_DIR"] ?? envPaths("cortex", { suffix: "" }).data;
