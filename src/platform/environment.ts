import { homedir, hostname, userInfo } from "node:os";
import envPaths from "env-paths";

/** Where `hf:` sources come from. */
export interface ModelHubAddress {
  /** `HF_ENDPOINT`: a mirror, or https://huggingface.co. */
  readonly endpoint: string;
  /** `HF_TOKEN`, for repositories that ask for one. */
  readonly token: string | undefined;
}

/** Traces are sent; where to and how is read by the exporter itself, from the same variables. */
export interface TracingWish {
  /** Of the requests that are in no trace yet: OTEL_TRACES_SAMPLER and its ARG. */
  readonly sampleRatio: number;
}

/** systemd started this process and wants to hear from it (`Type=notify`). */
export interface SupervisionWish {
  /** How long it may be silent before it is taken for hung (`WatchdogSec`); undefined: for ever. */
  readonly watchdogMs: number | undefined;
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
  /** Present where NOTIFY_SOCKET is. */
  readonly supervision: SupervisionWish | undefined;
  /** Present where OTEL_EXPORTER_OTLP_ENDPOINT (or its TRACES kin) names a collector. */
  readonly tracing: TracingWish | undefined;
  /** Colours are wanted on stdout: a terminal and no NO_COLOR (https://no-color.org). */
  readonly colour: boolean;
  /** The same for stderr, which goes its own way when either is redirected. */
  readonly stderrColour: boolean;
  /** Something that moves may be shown on stdout: a terminal that can redraw, and no CI job's. */
  readonly liveScreen: boolean;
  /** The terminal's characters are those of Unicode, by the locale. */
  readonly unicode: boolean;
  /** Who runs this process, for the lock and the history of a fleet. */
  readonly operator: ProcessOperator;
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
    supervision: supervisionOf(variables, process.pid),
    tracing: tracingOf(variables),
    colour: mayColour && process.stdout.isTTY,
    stderrColour: mayColour && process.stderr.isTTY,
    liveScreen: process.stdout.isTTY && variables["TERM"] !== "dumb" && (variables["CI"] ?? "") === "",
    unicode: /utf-?8/i.test(variables["LC_ALL"] || variables["LC_CTYPE"] || variables["LANG"] || ""),
    operator: operatorOf(variables),
    inherited: variables,
  };
}

interface ProcessOperator {
  readonly user: string;
  readonly host: string;
  readonly pid: number;
  /** The page of the CI job; null outside of one. */
  readonly run_url: string | null;
}

/** In CI whoever set off the job: the account of a runner says nothing. */
function operatorOf(variables: Readonly<Record<string, string | undefined>>): ProcessOperator {
  const { GITHUB_ACTOR, GITLAB_USER_LOGIN, USER, CI_JOB_URL } = variables;
  const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: repository, GITHUB_RUN_ID: run } = variables;
  const isAction = server !== undefined && repository !== undefined && run !== undefined;
  return {
    user: GITHUB_ACTOR ?? GITLAB_USER_LOGIN ?? USER ?? accountName(),
    host: hostname(),
    pid: process.pid,
    run_url: isAction ? `${server}/${repository}/actions/runs/${run}` : (CI_JOB_URL ?? null),
  };
}

/** A user id without an account, as in some containers, has no name. */
function accountName(): string {
  try {
    return userInfo().username;
  } catch {
    return "unknown";
  }
}

export function tracingOf(variables: Readonly<Record<string, string | undefined>>): TracingWish | undefined {
  const of = (name: string): string => variables[name]?.trim() ?? "";
  const endpoint = of("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") + of("OTEL_EXPORTER_OTLP_ENDPOINT");
  const isOff = of("OTEL_SDK_DISABLED") === "true" || of("OTEL_TRACES_EXPORTER") === "none";
  if (endpoint === "" || isOff) return undefined;
  const sampler = of("OTEL_TRACES_SAMPLER").replace(/^parentbased_/, "");
  if (sampler === "always_off") return { sampleRatio: 0 };
  const ratio = Number(of("OTEL_TRACES_SAMPLER_ARG") || "1");
  return { sampleRatio: sampler === "traceidratio" && ratio >= 0 && ratio <= 1 ? ratio : 1 };
}

/** WATCHDOG_PID names the process that is meant: a child inherits the variables and is not. */
export function supervisionOf(
  variables: Readonly<Record<string, string | undefined>>,
  pid: number,
): SupervisionWish | undefined {
  if ((variables["NOTIFY_SOCKET"] ?? "") === "") return undefined;
  const watchdogMs = Number(variables["WATCHDOG_USEC"] ?? "") / 1000;
  const isMeant = [undefined, String(pid)].includes(variables["WATCHDOG_PID"]);
  return { watchdogMs: isMeant && watchdogMs > 0 ? watchdogMs : undefined };
}

/** Where cortex keeps what it makes for the user of these variables. */
export const dataDirectoryOf = (variables: Readonly<Record<string, string | undefined>>): string =>
  variables["CORTEX_DATA_DIR"] ?? envPaths("cortex", { suffix: "" }).data;

/** For native code of this process that is loaded afterwards: a driver reads its variables when it starts. */
export function setVariables(variables: Readonly<Record<string, string>>): void {
  Object.assign(process.env, variables);
}

const DEFAULT_HUB = "https://huggingface.co";

function modelHubOf(variables: Readonly<Record<string, string | undefined>>): ModelHubAddress {
  const endpoint = variables["HF_ENDPOINT"]?.trim() ?? "";
  const token = variables["HF_TOKEN"]?.trim() ?? "";
  return { endpoint: endpoint === "" ? DEFAULT_HUB : endpoint, token: token === "" ? undefined : token };
}

const CREDENTIAL_NAME = /TOKEN|SECRET|PASSWORD|API_?KEY|CREDENTIAL/i;

/** For processes that run native code, on files of others. */
export const withoutCredentials = (
  environment: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string | undefined>> =>
  Object.fromEntries(Object.entries(environment).filter(([name]) => !CREDENTIAL_NAME.test(name)));
