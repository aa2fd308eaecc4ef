import { isTable } from "../../../fleet/check/merge-fleet-files.ts";
import { readEngineCommand, type EngineCommand } from "./engine-command.ts";
import { modelId, type WrittenModel } from "../imported/import-report.ts";
import { engineAddress } from "../imported/engine-address.ts";
import { noteAt, noteLostModel } from "../imported/located-document.ts";
import type { SwapContext } from "./swap-context.ts";

interface SwapModel {
  readonly id: string;
  readonly block: unknown;
}

export interface ImportedSwapModel {
  /** What llama-swap calls it. */
  readonly name: string;
  readonly model: WrittenModel;
  readonly aliases: readonly string[];
}

/** Macros may name macros; a circle ends here. */
const MACRO_DEPTH = 20;

/** One entry of `models`. Its command is read, never run. */
export function importSwapModel(context: SwapContext, { id, block }: SwapModel): ImportedSwapModel[] {
  const values = isTable(block) ? block : {};
  const at = { path: ["models", id], model: id };
  const written = modelId(id, context.names);
  if (written === "") {
    noteLostModel(context, at, "it has no name");
    return [];
  }
  if (typeof values["cmd"] !== "string" || values["cmd"].trim() === "") {
    noteLostModel(context, at, "it has no `cmd`, so there is nothing to tell its file from; it is left out");
    return [];
  }
  context.names.add(written);
  if (written !== id) noteAt(context, at.path, `an id has no spaces: clients ask for \`${written}\` here`);
  const command = expand(values["cmd"], { id, values, context });
  noteUnknownMacros(context, { id, command });
  const read = readEngineCommand(command);
  const engine = read.engine === "other" ? externalEngine(context, { id, values, read }) : ownEngine(read);
  if (engine === undefined) return [];
  for (const { what, reason } of read.notes) {
    context.notes.push({
      file: context.document.path,
      line: context.document.lineOf(["models", id, "cmd"]),
      what: `models.${id}.cmd: ${what}`,
      reason,
    });
  }
  noteRest(context, { id, values, isExternal: read.engine === "other" });
  return [
    {
      name: id,
      model: { id: written, ...engine, ...residency(context, { id, values }) },
      aliases: readAliases(context, { id, value: values["aliases"] }),
    },
  ];
}

/** Preloaded models are resident, and resident copies do not leave when idle. */
function residency(
  context: SwapContext,
  { id, values }: { readonly id: string; readonly values: Readonly<Record<string, unknown>> },
): Pick<WrittenModel, "replicas" | "idle_unload_secs"> {
  if ([id, ...aliasNames(values["aliases"])].some((name) => context.preloaded.has(name))) {
    if (values["ttl"] !== undefined) {
      const reason =
        "it is preloaded, so it is carried as replicas = 1, and resident copies stay when they are idle";
      noteAt(context, ["models", id, "ttl"], reason);
    }
    return { replicas: 1 };
  }
  const ttl = values["ttl"];
  const idleSecs = typeof ttl === "number" && ttl >= 0 ? ttl : context.defaultTtlSecs;
  return idleSecs === undefined || idleSecs === 0 ? {} : { idle_unload_secs: idleSecs };
}

function expand(
  command: unknown,
  model: {
    readonly id: string;
    readonly values: Readonly<Record<string, unknown>>;
    readonly context: SwapContext;
  },
): string {
  const own = isTable(model.values["macros"]) ? model.values["macros"] : {};
  const macros: Readonly<Record<string, unknown>> = { ...model.context.macros, ...own, MODEL_ID: model.id };
  let text = typeof command === "string" ? command : "";
  for (let depth = 0; depth < MACRO_DEPTH; depth += 1) {
    const next = text.replaceAll(/\$\{([A-Za-z0-9_-]+)\}/g, (all, name: string) =>
      Object.hasOwn(macros, name) ? String(macros[name]) : all,
    );
    if (next === text) return text;
    text = next;
  }
  return text;
}

type EngineSettings = Omit<WrittenModel, "id">;

const ownEngine = (read: EngineCommand): EngineSettings => ({
  source: read.source,
  context: read.context,
  parallel: read.parallel,
  min_devices: read.minDevices,
  capabilities: read.capabilities === undefined ? undefined : [...read.capabilities],
});

/** cortex starts no foreign commands; an engine that runs on its own is attached to by its address. */
function externalEngine(
  context: SwapContext,
  model: {
    readonly id: string;
    readonly values: Readonly<Record<string, unknown>>;
    readonly read: EngineCommand;
  },
): EngineSettings | undefined {
  const { id, values, read } = model;
  const proxy = values["proxy"];
  const given = typeof proxy === "string" && !proxy.includes("${") ? proxy : undefined;
  const address = given === undefined ? undefined : engineAddress(given);
  if (address?.hadPassword === true) {
    const reason = "the password stays behind: fleet files hold no secrets";
    noteAt(context, ["models", id, "proxy"], reason);
  }
  const endpoint =
    address?.endpoint ?? (read.port === undefined ? undefined : `http://127.0.0.1:${read.port}`);
  if (endpoint === undefined) {
    const reason =
      'cortex starts no foreign commands, and the port is not fixed: run the engine as a service of its own and declare harness = "openai" with its endpoint';
    noteLostModel(context, { path: ["models", id, "cmd"], model: id }, reason);
    return undefined;
  }
  noteAt(
    context,
    ["models", id, "cmd"],
    `cortex starts no foreign commands: run it as a service of its own at ${endpoint}`,
  );
  const upstreamName = values["useModelName"];
  return {
    harness: "openai",
    endpoint,
    served_as: typeof upstreamName === "string" && upstreamName !== "" ? upstreamName : undefined,
  };
}

export const aliasNames = (value: unknown): string[] =>
  (Array.isArray(value) ? value : []).flatMap((alias: unknown) => {
    const name = isTable(alias) ? alias["id"] : alias;
    return typeof name === "string" ? [name] : [];
  });

/** Macros of the runtime itself; the port is the neuron's affair, and the others are filled in above. */
const OWN_MACROS = new Set(["PORT"]);

function noteUnknownMacros(
  context: SwapContext,
  { id, command }: { readonly id: string; readonly command: string },
): void {
  const left = [...command.matchAll(/\$\{([^}]+)\}/g)].map(([, name = ""]) => name);
  for (const name of new Set(left)) {
    if (OWN_MACROS.has(name)) continue;
    const reason = `\`\${${name}}\` is known only where llama-swap runs; put its value into the model's block by hand`;
    noteAt(context, ["models", id, "cmd"], reason);
  }
}

function readAliases(
  context: SwapContext,
  { id, value }: { readonly id: string; readonly value: unknown },
): string[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((alias: unknown, index) => {
    const name = isTable(alias) ? alias["id"] : alias;
    if (typeof name === "string" && /^\S+$/.test(name)) return [name];
    noteAt(context, ["models", id, "aliases", index], "an alias is a name without spaces");
    return [];
  });
}

const REASONS: Readonly<Record<string, string>> = {
  name: "a model has one name, its id; aliases are others",
  description: "fleet files have no place for it; a comment may hold it",
  env: "workers get their environment from the neuron; which devices they see is the plan's choice",
  proxy: "the neuron talks to its own workers",
  checkEndpoint: "the neuron knows when a worker is ready",
  useModelName: "the built-in engine is asked by id",
  filters: "requests are passed on as they are: nothing is put in, taken out or set",
  metadata: "fleet files have no place for it",
  concurrencyLimit: "`parallel` says how many requests run side by side; more of them wait",
  unlisted: "every model is listed; keys say who may use which",
  cmdStop: "the neuron stops its own workers",
  timeouts: "timeouts are the gateway's own",
  sendLoadingState: "waiting clients get keep-alives; nothing is put into answers",
};

const CARRIED = new Set(["cmd", "macros", "ttl", "aliases"]);

function noteRest(
  context: SwapContext,
  model: {
    readonly id: string;
    readonly values: Readonly<Record<string, unknown>>;
    readonly isExternal: boolean;
  },
): void {
  const covered = model.isExternal ? new Set([...CARRIED, "proxy", "useModelName"]) : CARRIED;
  for (const key of Object.keys(model.values)) {
    if (covered.has(key)) continue;
    noteAt(context, ["models", model.id, key], REASONS[key] ?? "cortex has no such setting");
  }
}
