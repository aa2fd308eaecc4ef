import { by } from "../core/order.ts";
import type { FleetState } from "../protocol/gateway-api.ts";
import { declaredModels } from "./declared-models.ts";

type Load = FleetState["loads"][number];
type FailedLoad = NonNullable<FleetState["failed_loads"]>[number];

export interface ModelCopy {
  readonly neuron: string;
  readonly status: FleetState["neurons"][number]["models"][number]["status"];
  readonly devices: readonly number[];
  readonly memoryMib: number;
  readonly inFlight: number;
  readonly queued: number;
  readonly slots: number;
  readonly tokensPerSec: number | null;
  /** Why it does not serve although it is loaded; null where it does. */
  readonly trouble: string | null;
}

/**
 * `ready`: some copy serves; `partly`: fewer copies than declared; `loading`; `failed`: its last load did;
 * `missing`: declared as resident and not there; `idle`: comes when it is asked for; `broken`: loaded and cannot serve.
 */
export type ModelStanding = "ready" | "partly" | "loading" | "failed" | "missing" | "idle" | "broken";

export interface ModelRow {
  readonly id: string;
  readonly aliases: readonly string[];
  /** Copies that the fleet files want loaded; null for a model that they do not declare. */
  readonly wanted: number | null;
  readonly standing: ModelStanding;
  readonly copies: readonly ModelCopy[];
  /** Requests that wait for a load or a place. */
  readonly waiting: number;
  readonly load: Load | null;
  readonly failure: FailedLoad | null;
}

/** One row for each model that is declared or there, in the order of their names. */
export function modelRows(state: FleetState): readonly ModelRow[] {
  const wanted = new Map(declaredModels(state).map(({ id, replicas }) => [id, replicas]));
  const copies = copiesByModel(state);
  const ids = [...new Set([...wanted.keys(), ...copies.keys(), ...state.loads.map(({ model }) => model)])];
  return ids
    .map((id) => {
      const row = {
        id,
        aliases: aliasesOf(state, id),
        wanted: wanted.get(id) ?? null,
        copies: copies.get(id) ?? [],
        waiting: state.queues?.find(({ model }) => model === id)?.waiting ?? 0,
        load: state.loads.find(({ model }) => model === id) ?? null,
        failure: state.failed_loads?.find(({ model }) => model === id) ?? null,
      };
      return { ...row, standing: standingOf(row) };
    })
    .sort(by(({ id }) => id));
}

function standingOf({ wanted, copies, load, failure }: Omit<ModelRow, "standing">): ModelStanding {
  const loaded = copies.filter(({ status }) => status === "loaded");
  const serving = loaded.filter(({ trouble }) => trouble === null).length;
  if (serving > 0) return serving < (wanted ?? 0) ? "partly" : "ready";
  if (load !== null || copies.some(({ status }) => status === "loading")) return "loading";
  if (loaded.length > 0) return "broken";
  if (failure !== null) return "failed";
  return (wanted ?? 0) > 0 ? "missing" : "idle";
}

function copiesByModel(state: FleetState): Map<string, ModelCopy[]> {
  const found = new Map<string, ModelCopy[]>();
  for (const neuron of state.neurons) {
    for (const model of neuron.models) {
      const copy: ModelCopy = {
        neuron: neuron.name,
        status: model.status,
        devices: model.devices,
        memoryMib: model.vram_used_mb,
        inFlight: model.load?.in_flight ?? 0,
        queued: model.load?.queue_depth ?? 0,
        slots: model.load?.max_in_flight ?? 0,
        tokensPerSec: model.tokens_per_sec ?? null,
        trouble: troubleOf(neuron, model),
      };
      found.set(model.id, [...(found.get(model.id) ?? []), copy]);
    }
  }
  return found;
}

function troubleOf(
  { health, draining }: FleetState["neurons"][number],
  { servable, left_out: isLeftOut }: FleetState["neurons"][number]["models"][number],
): string | null {
  if (health !== "healthy") return "its neuron does not answer";
  if (!servable.ok) return servable.detail ?? servable.reason ?? "it cannot serve";
  if (draining) return "its neuron drains";
  return isLeftOut === true ? "it fails of late and is left out" : null;
}

const aliasesOf = ({ declared }: FleetState, id: string): readonly string[] =>
  Object.entries(declared.aliases)
    .flatMap(([alias, target]) => (target === id ? [alias] : []))
    .toSorted();
