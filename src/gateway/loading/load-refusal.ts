import { CortexError, type ErrorCode } from "../../core/errors.ts";
import type { ResidentModel } from "../../protocol/neuron-api.ts";
import type { FailedPlace } from "./scheduler-state.ts";

/**
 * What a client is told of a load that did not come about. Whoever runs the fleet must mend it, so it is an error of
 * the fleet, whatever status the neuron gave; paths and the engine's words are in the log, `GET /fleet` and
 * `cortex status`.
 */
export function failedError(modelId: string, failed: readonly FailedPlace[], atMs: number): CortexError {
  const places = failed.map(({ neuron, error }) => `${neuron}: ${shortReason(error.code)}`).join("; ");
  const retryAtMs = Math.min(...failed.map((place) => place.retryAtMs));
  const isSilent = failed.every(({ error }) => error.code === "upstream_connection_error");
  if (failed.every(({ error }) => error.code === "no_feasible_neuron")) return neverError(modelId, failed);
  const code = isSilent ? "feasible_neuron_unhealthy" : "load_failed";
  return new CortexError(code, `${modelId} cannot be loaded now: ${places}`, {
    details: {
      model_id: modelId,
      neurons: failed.map(({ neuron, error, times }) => ({ neuron, code: error.code, times })),
    },
    next: "whoever runs the fleet finds the cause in `cortex status`",
    retryAfterSecs: Math.max(1, (retryAtMs - atMs) / 1000),
  });
}

/** Nobody who waits is helped: a client that tries again would get the same until the fleet files change. */
const neverError = (modelId: string, failed: readonly FailedPlace[]): CortexError =>
  new CortexError(
    "no_feasible_neuron",
    `no neuron can ever hold ${modelId}: ${failed.map(({ neuron }) => neuron).join(", ")} cannot`,
    { details: { model_id: modelId, neurons: failed.map(({ neuron }) => neuron) }, retryAfterSecs: null },
  );

const SHORT_REASONS: Partial<Readonly<Record<ErrorCode, string>>> = {
  source_not_found: "its file is not there",
  source_forbidden: "its file may not be read there",
  source_unsupported: "its source is of a kind that is not offered there",
  source_denied: "the hub does not give its file out",
  model_file_invalid: "its file is not a model that the engine can load",
  checksum_mismatch: "its file differs from what is pinned",
  download_failed: "its file could not be fetched",
  disk_full: "the disk is full",
  insufficient_vram: "it does not fit into the memory",
  no_feasible_neuron: "it does not fit onto the devices",
  spec_conflict: "it is there with other settings",
  load_timeout: "the engine took too long",
  upstream_connection_error: "the neuron does not answer",
};

const shortReason = (code: ErrorCode): string => SHORT_REASONS[code] ?? "the engine could not load it";

/** Memory is held by models that do not give way to a request. */
export function blockedError(
  modelId: string,
  blocked: readonly { readonly neuron: string; readonly holders: readonly ResidentModel[] }[],
): CortexError {
  const places = blocked.map(({ neuron, holders }) => {
    const names = holders.map(({ id }) => id);
    return `${neuron}: ${names.length === 0 ? "other programs hold it" : `${names.join(", ")} stay`}`;
  });
  return new CortexError("insufficient_vram", `no memory for ${modelId} now: ${places.join("; ")}`, {
    details: {
      model_id: modelId,
      neurons: blocked.map(({ neuron, holders }) => ({ neuron, holders: holders.map(({ id }) => id) })),
    },
    next: "try again later; whoever runs the fleet can unload a model, or give this one a higher residency_priority",
    retryAfterSecs: 30,
  });
}
