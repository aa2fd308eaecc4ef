import type { ParsedFile } from "../../../fleet/text/parse-fleet-file.ts";
import type { ImportedFleet, ImportNote, WrittenModel } from "../imported/import-report.ts";
import { ForeignTable } from "./foreign-table.ts";

/** The files of one helexa operator. */
export interface HelexaFiles {
  readonly cortex?: ParsedFile | undefined;
  readonly models?: ParsedFile | undefined;
  /** One for each machine; `name` as far as the path tells it. */
  readonly neurons: readonly { readonly name: string | undefined; readonly file: ParsedFile }[];
}

interface ModelContext {
  readonly neuronNames: readonly string[];
  readonly notes: ImportNote[];
}

/** What one machine's file says of a model that it loads when it starts. */
interface DefaultModel {
  readonly table: ForeignTable;
  /** The machine, when its file tells which one. */
  readonly neuron: string | undefined;
  readonly id: string;
  readonly scheme: string | undefined;
  readonly quant: string | undefined;
  readonly devices: number | undefined;
}

/** There, a pinned model without a class of its own has this one. */
const PINNED_CLASS = 1000;

/** The catalogue, with what the machines load at their start as resident copies. */
export function importHelexaModels(
  files: HelexaFiles,
  context: ModelContext,
): Pick<ImportedFleet, "models" | "aliases"> {
  const defaults = files.neurons.flatMap((neuron) => importNeuronFile(neuron, context));
  const catalogue =
    files.models === undefined ? undefined : new ForeignTable(files.models, [], context.notes);
  const models = (catalogue?.tables("models") ?? []).flatMap((table) =>
    importModel(table, { defaults, context }),
  );
  const aliases = catalogue === undefined ? {} : importAliases(catalogue, models);
  catalogue?.noteRest();
  const known = new Set(models.map(({ id }) => id));
  const unlisted = [...new Set(defaults.map(({ id }) => id))].filter((id) => !known.has(id));
  return {
    models: [...models, ...unlisted.map((id) => importUnlisted(defaults.filter((each) => each.id === id)))],
    aliases,
  };
}

function importModel(
  table: ForeignTable,
  given: { readonly defaults: readonly DefaultModel[]; readonly context: ModelContext },
): WrittenModel[] {
  const id = table.text("id");
  if (id === undefined) {
    table.note("id", "a model needs an id; the block is left out");
    return [];
  }
  const own = given.defaults.filter((each) => each.id === id);
  const quant = table.text("quant");
  const scheme = table.text("source");
  noteHarness(table);
  const pins = table.texts("pinned_on");
  const pinnedOn = importPins(table, pins, given.context);
  const priority = table.wholeNumber("residency_priority") ?? (pins.length > 0 ? PINNED_CLASS : undefined);
  const model: WrittenModel = {
    id,
    ...sourceOf({ id, quant, scheme }, (key, reason) => {
      table.note(key, reason);
    }),
    replicas: copiesOn(pinnedOn, own.length, table),
    pinned_on: pinnedOn,
    min_devices: atLeastTwo(
      table.wholeNumber("min_devices") ??
        own.map((each) => each.devices).find((count) => count !== undefined),
    ),
    min_device_vram_mb: table.wholeNumber("min_device_vram_mb"),
    vram_mb: table.wholeNumber("vram_mb"),
    residency_priority: priority,
    limit: importLimit(table),
    cost: table.numbers("cost", ["input", "output", "cache_read", "cache_write"]),
    capabilities: nonEmpty(table.texts("capabilities")),
  };
  noteCopies(own, { quant, model });
  table.noteRest();
  return [model];
}

function noteHarness(table: ForeignTable): void {
  const harness = table.text("harness");
  if (harness === undefined || harness === "candle" || harness === "llama") return;
  table.note("harness", `cortex has no engine \`${harness}\`; the block is for its own, llama`);
}

/** Where what a machine loads at its start differs from what the block now says. */
function noteCopies(
  copies: readonly DefaultModel[],
  { quant, model }: { readonly quant: string | undefined; readonly model: WrittenModel },
): void {
  for (const { table, ...copy } of copies) {
    if (copy.quant !== undefined && copy.quant !== quant) {
      const said = `the catalogue says ${quant ?? "none"} for \`${model.id}\``;
      table.note("quant", `${said}; a model has one file here, and the catalogue was taken`);
    }
    if (copy.neuron !== undefined && model.pinned_on === undefined) {
      const kept = `pinned_on = ["${copy.neuron}"] would keep it there`;
      table.note("model_id", `\`${model.id}\` stays resident, and the plan chooses where; ${kept}`);
    }
  }
}

/** A model that only machines know of. */
function importUnlisted(copies: readonly DefaultModel[]): WrittenModel {
  const [first] = copies;
  const { id = "", quant, scheme, devices, table } = first ?? {};
  return {
    id,
    ...sourceOf({ id, quant, scheme }, (key, reason) => table?.note(key, reason)),
    replicas: copies.length,
    min_devices: atLeastTwo(devices),
  };
}

/**
 * Where the weights are. There, an id is a repository of a registry and `quant` names a GGUF file in it, or a
 * quantisation that is made while dense weights are loaded; only the first has a counterpart.
 */
function sourceOf(
  model: { readonly id: string; readonly quant: string | undefined; readonly scheme: string | undefined },
  note: (key: string, reason: string) => void,
): Pick<WrittenModel, "source"> {
  const { id, quant, scheme } = model;
  if (scheme !== undefined && scheme !== "" && scheme !== "huggingface") {
    note(
      "source",
      `the registry \`${scheme}\` is known to that neuron only; write source = "https://..." or "file:/..."`,
    );
    return {};
  }
  if (quant === undefined) {
    note(
      "id",
      'it has no `quant`: dense weights, and cortex loads GGUF files; write source = "hf:org/repo:TAG" or a file',
    );
    return {};
  }
  if (!/^(?:UD-)?(?:I?Q\d|T?Q\d|BF16|F16|F32|MXFP4)/.test(quant)) {
    note(
      "quant",
      `\`${quant}\` is made while dense weights are loaded, and cortex loads GGUF files; write source = "hf:org/repo:TAG" or a file`,
    );
    return {};
  }
  return { source: `hf:${id}:${quant}` };
}

/** A copy for each machine that loads it when it starts, and no more than it has places. */
function copiesOn(
  pinnedOn: readonly string[] | undefined,
  copies: number,
  table: ForeignTable,
): number | undefined {
  if (pinnedOn === undefined || copies <= pinnedOn.length) return copies || undefined;
  const reason = `${copies} machines load it when they start, and it is pinned on ${pinnedOn.length}: one copy for each pin was taken`;
  table.note("pinned_on", reason);
  return pinnedOn.length;
}

function importPins(
  table: ForeignTable,
  pins: readonly string[],
  context: ModelContext,
): string[] | undefined {
  const known = pins.filter((pin) => context.neuronNames.includes(pin));
  const unknown = pins.filter((pin) => !known.includes(pin));
  if (unknown.length > 0) {
    table.note("pinned_on", `${unknown.join(", ")}: cortex.toml declares no such neuron`);
  }
  return nonEmpty([...new Set(known)]);
}

function importLimit(table: ForeignTable): WrittenModel["limit"] {
  const limit = table.numbers("limit", ["context", "input", "output"]);
  if (limit === undefined) return undefined;
  const { context } = limit;
  if (context === undefined) {
    table.note("limit", "a limit needs `context`, the tokens of prompt and answer together");
    return undefined;
  }
  return { context, input: limit["input"], output: limit["output"] };
}

function importAliases(
  catalogue: ForeignTable,
  models: readonly WrittenModel[],
): Readonly<Record<string, string>> {
  const table = catalogue.table("aliases");
  const ids = new Set(models.map(({ id }) => id));
  const aliases: Record<string, string> = {};
  for (const alias of table.keys()) {
    const target = table.text(alias);
    if (target === undefined) continue;
    if (!/^\S+$/.test(alias)) table.note(alias, "an alias is a name without spaces");
    else if (ids.has(alias))
      table.note(alias, "is also the id of a model; aliases and ids share one namespace");
    else if (ids.has(target)) aliases[alias] = target;
    else table.note(alias, `points to \`${target}\`, which the catalogue does not have`);
  }
  return aliases;
}

const nonEmpty = (texts: string[]): string[] | undefined => (texts.length === 0 ? undefined : texts);

const atLeastTwo = (count: number | undefined): number | undefined =>
  count !== undefined && count > 1 ? count : undefined;

function importNeuronFile(
  neuron: HelexaFiles["neurons"][number],
  { neuronNames, notes }: ModelContext,
): DefaultModel[] {
  const table = new ForeignTable(neuron.file, [], notes);
  const isKnown = neuron.name !== undefined && neuronNames.includes(neuron.name);
  const models = table.tables("default_models").flatMap((block): DefaultModel[] => {
    const written = block.text("model_id");
    if (written === undefined) return [];
    const [scheme, id] = splitScheme(written);
    const devices = block.wholeNumber("tensor_parallel");
    const quant = block.text("quant");
    block.text("harness");
    block.noteAll({ devices: "which devices hold a model is the plan's choice" });
    block.noteRest();
    return [{ table: block, neuron: isKnown ? neuron.name : undefined, id, scheme, quant, devices }];
  });
  if (models.length > 0 && !isKnown) {
    const said =
      neuron.name === undefined
        ? "the file does not say of which neuron it is"
        : `no neuron is called ${neuron.name}`;
    table.note("default_models", `carried as replicas; ${said}, so the plan chooses where they go`);
  }
  table.noteAll({
    port: "the neuron is started with --port; its endpoint is in fleet.toml",
    harnesses: "the neuron offers what is built in",
  });
  importHarness(table.table("harness"));
  table.noteRest();
  return models;
}

function splitScheme(id: string): [string | undefined, string] {
  const colon = id.indexOf(":");
  return colon === -1 ? [undefined, id] : [id.slice(0, colon), id.slice(colon + 1)];
}

function importHarness(harness: ForeignTable): void {
  const candle = harness.table("candle");
  candle.noteAll({
    hf_cache: "models lie in the neuron's model store: --model-root",
    default_source: "a source names its own scheme: hf:, https:, file:",
    sources: "a source names its own scheme: hf:, https:, file:",
    prefix_cache: "the worker keeps prefixes in its slots; there is nothing to set",
    context_limit: "set `context` and `limit` in the model's block",
    admission: "set `parallel` in the model's block; the queue follows from it",
    image: "the built-in engine does not handle images; an external one may serve them",
  });
  candle.noteRest();
  harness.noteRest();
}
