import { CortexError } from "../../../core/errors.ts";
import { bytesToMib } from "../../../core/quantities.ts";
import type { DeviceKind, ModelEstimate, ModelSpec } from "../../../protocol/neuron-api.ts";
import { specHash } from "../../../protocol/spec-hash.ts";
import type { WorkerFacts } from "../../../protocol/worker-messages.ts";
import {
  contextPerSlot,
  estimateFootprint,
  footprintMib,
  withCompanions,
} from "../../model/estimate-footprint.ts";
import type { ModelFileFacts, ModelFiles } from "../../model/io/model-files.ts";
import type { CpuPacking } from "../../model/weight-memory.ts";
import type { ModelStore } from "../../store/io/model-store.ts";
import { release, reserve, type DeviceLedger } from "../device-ledger.ts";
import { factAbout, predictLoad } from "../load-facts.ts";
import { findFiles, type SpecFiles } from "./bring-files.ts";
import type { FactBook } from "./fact-book.ts";

export interface EstimatorDeps {
  readonly modelFiles: ModelFiles;
  readonly modelStore: Pick<ModelStore, "stored" | "inspectRemote">;
  readonly book: FactBook;
  /** Of the devices that models are loaded onto. */
  readonly deviceKind: () => DeviceKind;
  readonly cpuPacking: CpuPacking;
}

/** What a load of a file is to be promised, and what is to be expected of it. */
export interface LoadNeed {
  readonly requiredMib: number;
  readonly contextTokens: number | null;
  /** Null when no load tells. */
  readonly predictedMs: number | null;
}

/** Says before a load what it takes: as it was measured before, else as the catalogue declares, else from the header. */
export class Estimator {
  readonly #deps: EstimatorDeps;

  constructor(deps: EstimatorDeps) {
    this.#deps = deps;
  }

  need(spec: ModelSpec, files: SpecFiles): LoadNeed {
    const { contextTokens, fact, footprint, predicted } = this.#lookAt(spec, files);
    return {
      requiredMib: fact?.vram_mb ?? spec.vram_mb ?? expectedMib(spec, footprint),
      contextTokens,
      predictedMs: predicted?.ms ?? null,
    };
  }

  learn(
    spec: ModelSpec,
    load: {
      readonly fileBytes: number;
      readonly facts: WorkerFacts;
      readonly ms: number;
    },
  ): void {
    // What is only declared is no fact, and must not stand in the way of what is declared next.
    if (load.facts.memory_source === "declared") return;
    this.#deps.book.remember({
      model_id: spec.model_id,
      ...this.#identity(spec, load.fileBytes),
      vram_mb: bytesToMib(load.facts.memory_bytes),
      load_ms: Math.round(load.ms),
      ...(load.facts.file === undefined ? {} : { file: load.facts.file }),
      abilities: {
        capabilities: load.facts.capabilities,
        tool_call: load.facts.tool_call,
        reasoning: load.facts.reasoning,
      },
    });
  }

  /** The file of a spec that is here. Throws what `ModelFiles.inspect` throws, and source_not_found for what is not. */
  async inspect(spec: ModelSpec): Promise<ModelFileFacts> {
    const local = await this.#localSpec(spec);
    if (local !== "not_fetched") return this.#deps.modelFiles.inspect(local);
    throw notFetched(spec);
  }

  /**
   * Of what is not here the head is read where it comes from. Throws what `inspect` throws, and of a download what tells
   * that there would be none.
   */
  async estimate(spec: ModelSpec, ledger: DeviceLedger): Promise<ModelEstimate> {
    let fetchBytes = 0;
    const files = await findFiles(spec, async (asked) => {
      const local = await this.#localSpec(asked);
      if (local !== "not_fetched") return this.#deps.modelFiles.inspect(local);
      const remote = await this.#deps.modelStore.inspectRemote(asked.source ?? "");
      if (remote === null) throw notFetched(asked);
      fetchBytes += remote.fileBytes;
      return remote;
    });
    const { file } = files;
    const { contextTokens, fact, footprint, predicted } = this.#lookAt(spec, files);
    const vramMib = fact?.vram_mb ?? spec.vram_mb ?? expectedMib(spec, footprint);
    // A copy that is here already is counted as gone: it would make room for itself.
    const room = reserve(release(ledger, spec.model_id), {
      holder: spec.model_id,
      requiredMib: vramMib,
      minDevices: spec.min_devices,
      devices: spec.devices,
    });
    const byDevice = room.ok
      ? room.value.ledger.flatMap(({ index, holds }) =>
          holds
            .filter(({ holder, reason }) => holder === spec.model_id && reason === "reserved")
            .map(({ heldMib }) => ({ index, vram_mb: heldMib })),
        )
      : [];
    return {
      model_id: spec.model_id,
      spec_hash: specHash(spec),
      source: sourceOf(spec, { isMeasured: fact !== undefined, file }),
      vram_mb: vramMib,
      weights_mb: bytesToMib(footprint.weightBytes),
      cache_mb: bytesToMib(footprint.cacheBytes),
      compute_mb: bytesToMib(footprint.computeBytes),
      ...(footprint.cacheBytesPerToken === null
        ? {}
        : { cache_bytes_per_token: footprint.cacheBytesPerToken }),
      file_bytes: file.fileBytes,
      fetch_bytes: fetchBytes,
      context: contextTokens,
      parallel: spec.parallel,
      load_secs: predicted === null ? null : Math.round(predicted.ms / 100) / 10,
      load_secs_source: predicted?.source ?? null,
      devices: byDevice,
      fits_now: room.ok ? { ok: true } : { ok: false, reason: room.error.code, detail: room.error.message },
    };
  }

  /** The spec with a file that is here; nothing is fetched for an estimate. */
  async #localSpec(spec: ModelSpec): Promise<ModelSpec | "not_fetched"> {
    if (spec.source === undefined) return spec;
    const stored = await this.#deps.modelStore.stored(spec.source);
    if (stored === null || stored === "not_fetched") return stored ?? spec;
    return { ...spec, source: `file:${stored.path}` };
  }

  #identity(spec: ModelSpec, fileBytes: number) {
    return { spec_hash: specHash(spec), file_bytes: fileBytes, device_kind: this.#deps.deviceKind() };
  }

  #lookAt(spec: ModelSpec, { file, lora, draft }: SpecFiles) {
    const { book, deviceKind, cpuPacking } = this.#deps;
    const identity = this.#identity(spec, file.fileBytes);
    const contextTokens = contextPerSlot(spec.context, file.shape);
    const place =
      deviceKind() === "cpu" ? ({ kind: "cpu", packing: cpuPacking } as const) : { kind: "gpu" as const };
    const model = estimateFootprint({
      fileBytes: file.fileBytes,
      shape: file.shape,
      contextTokens,
      parallel: spec.parallel,
      cacheType: spec.kv_cache_type,
      keepsWindows: spec.swa_full,
      batchTokens: spec.batch_size,
      place,
    });
    // One sequence of as many tokens as a slot has.
    const guesser =
      draft === null
        ? undefined
        : estimateFootprint({ ...draft, contextTokens, parallel: 1, cacheType: undefined, place });
    const footprint = withCompanions(model, { guesser, loraBytes: lora.map(({ fileBytes }) => fileBytes) });
    const fact = factAbout(book.facts, identity);
    return { contextTokens, footprint, fact, predicted: predictLoad(book.facts, identity) };
  }
}

const notFetched = ({ source }: ModelSpec): CortexError =>
  new CortexError(
    "source_not_found",
    `${source ?? "its source"} has not been fetched, so its size is not known`,
    {
      param: "source",
      next: "`cortex pull` fetches it; a load does too",
    },
  );

/** An engine that runs anyway holds its memory whether it is used here or not: the driver counts it as others'. */
const expectedMib = (spec: ModelSpec, footprint: Parameters<typeof footprintMib>[0]): number =>
  spec.harness === "openai" ? 0 : footprintMib(footprint);

function sourceOf(
  spec: ModelSpec,
  known: { readonly isMeasured: boolean; readonly file: ModelFileFacts },
): ModelEstimate["source"] {
  if (known.isMeasured) return "measured";
  if (spec.vram_mb !== undefined) return "declared";
  return known.file.shape === null ? "file_size" : "metadata";
}
