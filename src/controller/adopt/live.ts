import type { ResidentModel, ModelSpec } from "../../protocol/neuron-api.ts";
import { specHash } from "../../protocol/spec-hash.ts";
import {
  EMPTY_IMPORT,
  type ImportedFleet,
  type ImportNote,
  type WrittenModel,
} from "./imported/import-report.ts";

/** A neuron that answered, and what it holds. */
export interface LiveNeuron {
  readonly name: string;
  readonly endpoint: string;
  readonly models: readonly ResidentModel[];
}

/**
 * Fleet files that say what the machines hold now, so that the next plan is empty: each loaded model as a block with
 * the settings it was loaded with, and as many replicas as there are copies. What only requests have loaded stays on
 * demand. Copies of one model with different settings cannot both be declared; the most common settings win.
 */
export function importLive(neurons: readonly LiveNeuron[]): ImportedFleet {
  const notes: ImportNote[] = [];
  const copies = neurons.flatMap((neuron) => neuron.models.map((model) => ({ neuron: neuron.name, model })));
  const leaving = copies.filter(({ model }) => model.status === "unloading");
  for (const { neuron, model } of leaving) {
    notes.push(note(neuron, model.id, "it is being unloaded"));
  }
  const staying = copies.filter(({ model }) => model.status !== "unloading");
  const ids = [...new Set(staying.map(({ model }) => model.id))].toSorted();
  const models = ids.map((id) =>
    blockFor(
      staying.filter(({ model }) => model.id === id),
      notes,
    ),
  );
  return {
    ...EMPTY_IMPORT,
    takesOver: [...new Set(staying.flatMap(({ model }) => model.origin.fleet ?? []))].toSorted(),
    neurons: neurons.map(({ name, endpoint }) => ({ name, endpoint })),
    models,
    notes,
  };
}

interface Copy {
  readonly neuron: string;
  readonly model: ResidentModel;
}

const note = (neuron: string, what: string, reason: string): ImportNote => ({
  file: neuron,
  line: null,
  what,
  reason,
});

function blockFor(copies: readonly Copy[], notes: ImportNote[]): WrittenModel {
  const chosen = mostCommon(copies);
  for (const { neuron, model } of copies) {
    if (model.spec_hash === chosen.model.spec_hash) continue;
    const fate =
      model.origin.kind === "manual" ? "as loaded by hand it is left alone" : "apply will replace it";
    const reason = `has other settings than the copy on ${chosen.neuron}, and a block has one; ${fate}`;
    notes.push(note(neuron, model.id, reason));
  }
  const { model } = chosen;
  const spec = specOf(model);
  if (spec === undefined) {
    const reason =
      "the neuron does not say with which settings it was loaded; complete the block (source, context), or apply will replace it";
    notes.push(note(chosen.neuron, model.id, reason));
  }
  const isResident = copies.some((copy) => copy.model.origin.kind !== "request");
  return {
    id: model.id,
    ...settingsOf(spec ?? plainSpec(model, { minDevices: Math.max(1, model.devices.length) })),
    replicas: isResident ? copies.length : undefined,
    ...measuredFootprint(copies),
    capabilities: model.capabilities.length === 0 ? undefined : [...model.capabilities],
  };
}

/** A spec as the block that asks for it; what is at its default stays unsaid. */
const settingsOf = (spec: ModelSpec): Omit<WrittenModel, "id"> => ({
  harness: spec.harness === "llama" ? undefined : spec.harness,
  source: spec.source,
  sha256: spec.sha256,
  endpoint: spec.endpoint,
  served_as: spec.served_as,
  token_file: spec.token_file,
  command: spec.command,
  health_path: spec.health_path,
  start_timeout_secs: spec.start_timeout_secs,
  min_devices: spec.min_devices === 1 ? undefined : spec.min_devices,
  vram_mb: spec.vram_mb,
  context: spec.context,
  parallel: spec.parallel,
  threads: spec.threads,
  kv_cache_type: spec.kv_cache_type,
  flash_attention: spec.flash_attention,
  swa_full: spec.swa_full,
  batch_size: spec.batch_size,
  lora: spec.lora,
  draft: spec.draft,
  prompt_lookup: spec.prompt_lookup,
});

/** What the plan may count on before the next measurement. */
function measuredFootprint(copies: readonly Copy[]): Pick<WrittenModel, "vram_mb"> {
  const measuredMb = Math.max(
    0,
    ...copies.map(({ model }) => (model.vram_measured ? model.vram_used_mb : 0)),
  );
  const fewestMb = Math.max(1, ...copies.map(({ model }) => model.spec?.min_devices ?? model.devices.length));
  return measuredMb >= fewestMb ? { vram_mb: measuredMb } : {};
}

/** The first copy with the settings that most copies have. */
function mostCommon(copies: readonly Copy[]): Copy {
  const counts = new Map<string, number>();
  for (const { model } of copies) counts.set(model.spec_hash, (counts.get(model.spec_hash) ?? 0) + 1);
  return copies.reduce((best, copy) =>
    (counts.get(copy.model.spec_hash) ?? 0) > (counts.get(best.model.spec_hash) ?? 0) ? copy : best,
  );
}

/** What was asked for: as the neuron says, or the plainest settings that have the same hash. */
function specOf(model: ResidentModel): ModelSpec | undefined {
  if (model.spec !== undefined && specHash(model.spec) === model.spec_hash) return model.spec;
  if (model.harness !== "llama") return undefined;
  const contexts = [undefined, ...(model.limit === null ? [] : [model.limit.context])];
  const deviceCounts = [...new Set([1, Math.max(1, model.devices.length)])];
  return contexts
    .flatMap((context) => deviceCounts.map((minDevices) => plainSpec(model, { context, minDevices })))
    .find((guess) => specHash(guess) === model.spec_hash);
}

const plainSpec = (
  model: ResidentModel,
  settings: { readonly context?: number | undefined; readonly minDevices: number },
): ModelSpec => ({
  model_id: model.id,
  harness: "llama",
  parallel: model.parallel,
  min_devices: settings.minDevices,
  ...(settings.context === undefined ? {} : { context: settings.context }),
});
