import { createHash } from "node:crypto";
import { isTable } from "../../../fleet/check/merge-fleet-files.ts";
import { noteAt, type LocatedDocument } from "../imported/located-document.ts";
import type { SwapContext } from "./swap-context.ts";
import { aliasNames, importSwapModel, type ImportedSwapModel } from "./swap-model.ts";
import {
  blockName,
  EMPTY_IMPORT,
  type ImportedFleet,
  type ImportNote,
  type WrittenKey,
} from "../imported/import-report.ts";

/** llama-swap's `config.yaml`: one machine, so its models become blocks and the machine one neuron. */
export function importLlamaSwap(
  document: LocatedDocument,
  neuron: { readonly name: string; readonly endpoint: string },
): ImportedFleet {
  const notes: ImportNote[] = [];
  const root = isTable(document.value) ? document.value : {};
  const macros = readMacros(root["macros"]);
  const ttl = root["globalTTL"];
  const models = isTable(root["models"]) ? root["models"] : {};
  const context: SwapContext = {
    document,
    notes,
    macros,
    preloaded: new Set(preloadedModels(root["hooks"])),
    defaultTtlSecs: typeof ttl === "number" && ttl > 0 ? ttl : undefined,
    names: new Set(Object.entries(models).flatMap(([id, block]) => [id, ...namesOf(block)])),
  };
  const imported = Object.entries(models).flatMap(([id, block]) => importSwapModel(context, { id, block }));
  const keys = importKeys(context, root["apiKeys"]);
  noteSettings(context, root);
  noteLostPreloads(context, new Set(imported.flatMap(({ name }) => [name, ...namesOf(models[name])])));
  return {
    ...EMPTY_IMPORT,
    neurons: [neuron],
    models: imported.map(({ model }) => model),
    aliases: aliasesOf(context, imported),
    keys,
    notes,
  };
}

/** Ids and aliases share one namespace here, and an alias is one model's. */
function aliasesOf(
  context: SwapContext,
  imported: readonly ImportedSwapModel[],
): Readonly<Record<string, string>> {
  const ids = new Set(imported.map(({ model }) => model.id));
  const aliases = new Map<string, string>();
  for (const { name, model, aliases: names } of imported) {
    for (const alias of names) {
      const owner = ids.has(alias) ? alias : aliases.get(alias);
      if (owner === undefined) aliases.set(alias, model.id);
      else noteAt(context, ["models", name, "aliases"], `\`${alias}\` is already a name of \`${owner}\``);
    }
  }
  return Object.fromEntries(aliases);
}

function noteLostPreloads(context: SwapContext, ids: ReadonlySet<string>): void {
  for (const id of context.preloaded) {
    if (ids.has(id)) continue;
    noteAt(
      context,
      ["hooks", "on_startup", "preload"],
      `\`${id}\` is not among the models that were carried over`,
    );
  }
}

const namesOf = (block: unknown): string[] => (isTable(block) ? aliasNames(block["aliases"]) : []);

function readMacros(value: unknown): Readonly<Record<string, string>> {
  if (!isTable(value)) return {};
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, text]) =>
      typeof text === "string" || typeof text === "number" || typeof text === "boolean"
        ? [[name, String(text)]]
        : [],
    ),
  );
}

function preloadedModels(hooks: unknown): string[] {
  const start = isTable(hooks) ? hooks["on_startup"] : undefined;
  const preload = isTable(start) ? start["preload"] : undefined;
  return Array.isArray(preload) ? preload.filter((id): id is string => typeof id === "string") : [];
}

/** Clients keep their secrets: the fleet holds the hash of each. */
function importKeys(context: SwapContext, value: unknown): WrittenKey[] {
  if (!Array.isArray(value)) return [];
  const taken = new Set<string>();
  return value.flatMap((secret: unknown, index): WrittenKey[] => {
    if (typeof secret !== "string" || secret === "") {
      noteAt(context, ["apiKeys", index], "a key is a text");
      return [];
    }
    if (value.indexOf(secret) !== index) {
      noteAt(context, ["apiKeys", index], "the same secret stands above; each client has its own here");
      return [];
    }
    if (secret.includes("${env.")) {
      noteAt(
        context,
        ["apiKeys", index],
        'the secret is in the environment; take its hash there: printf %s "$SECRET" | sha256sum',
      );
      return [];
    }
    const id = blockName(`client-${index + 1}`, taken);
    taken.add(id);
    return [{ id, hash: `sha256:${createHash("sha256").update(secret).digest("hex")}` }];
  });
}

const CARRIED = new Set(["models", "macros", "apiKeys", "hooks", "globalTTL", "startPort"]);

const SETTING_REASONS: Readonly<Record<string, string>> = {
  healthCheckTimeout: "a load has no deadline of its own; waiting clients have one",
  logLevel: "--log-level of `cortex serve` and `cortex neuron`",
  logTimeFormat: "logs are JSON lines with ISO times",
  logToStdout: "logs are JSON lines on stderr",
  metricsMaxInMemory: "metrics are Prometheus's: metrics_listen in [gateway]",
  captureBuffer: "requests and answers are never kept",
  sendLoadingState: "waiting clients get keep-alives; nothing is put into answers",
  includeAliasesInList: "aliases are always listed",
  groups:
    "memory decides what runs side by side, and residency_priority who gives way; replicas > 0 keeps a model loaded",
  matrix:
    "memory decides what runs side by side, and residency_priority who gives way; replicas > 0 keeps a model loaded",
  peers: 'declare the models of another server with harness = "openai" and its endpoint',
};

function noteSettings(context: SwapContext, root: Readonly<Record<string, unknown>>): void {
  const hooks = isTable(root["hooks"]) ? root["hooks"] : {};
  for (const key of Object.keys(hooks).filter((name) => name !== "on_startup")) {
    noteAt(context, ["hooks", key], "cortex has no hook for it");
  }
  for (const [key, value] of Object.entries(root)) {
    if (CARRIED.has(key)) continue;
    const reason = SETTING_REASONS[key] ?? "cortex has no such setting";
    const inner = ["groups", "peers"].includes(key) && isTable(value) ? Object.keys(value) : [];
    if (inner.length === 0) noteAt(context, [key], reason);
    for (const name of inner) noteAt(context, [key, name], reason);
  }
}
