import { by } from "../core/order.ts";
import type { ModelBlock } from "../fleet/schema/fleet-schema.ts";
import type { ModelEntry } from "../protocol/gateway-api.ts";
import type { ModelAbilities, ResidentModel } from "../protocol/neuron-api.ts";
import type { FleetIndex } from "./view/fleet-index.ts";
import { healthyNeurons, type FleetView } from "./view/fleet-view.ts";
import { feasibilityOf } from "./routing/load-feasibility.ts";

interface Replica {
  readonly node: string;
  readonly model: ResidentModel;
}

export interface ListingContext {
  /** When the gateway learned of the fleet. */
  readonly createdSecs: number;
  /** When a copy goes if nobody uses it, since the epoch; null where no such time is known. */
  readonly leavesAtMs: (neuron: string, model: ResidentModel) => number | null;
}

/**
 * `GET /v1/models`: catalogue, what neurons hold beside it, and aliases, in order of id. Models of a neuron that
 * does not answer are not shown as loaded. They come with what they were when they were loaded.
 */
export function modelEntries(
  fleet: FleetIndex,
  view: FleetView,
  { createdSecs, leavesAtMs }: ListingContext,
): ModelEntry[] {
  const replicas = replicasById(view);
  const ids = new Set([...fleet.modelsById.keys(), ...replicas.keys()]);
  const entries = new Map<string, ModelEntry>();
  for (const id of ids) {
    const context = { fleet, view, createdSecs, leavesAtMs };
    entries.set(id, modelEntry({ id, replicas: replicas.get(id) ?? [], ...context }));
  }
  for (const [alias, target] of fleet.aliases) {
    const concrete = entries.get(target);
    // An alias never hides a model, and one that leads nowhere is not offered.
    if (concrete !== undefined && !entries.has(alias)) {
      entries.set(alias, { ...concrete, id: alias, alias_of: target });
    }
  }
  return [...entries.values()].sort(by(({ id }) => id));
}

function replicasById(view: FleetView): Map<string, Replica[]> {
  const replicas = new Map<string, Replica[]>();
  for (const neuron of healthyNeurons(view)) {
    for (const model of neuron.models.values()) {
      replicas.set(model.id, [...(replicas.get(model.id) ?? []), { node: neuron.name, model }]);
    }
  }
  return replicas;
}

interface EntrySource extends ListingContext {
  readonly id: string;
  readonly fleet: FleetIndex;
  readonly view: FleetView;
  readonly replicas: readonly Replica[];
}

function modelEntry({ id, fleet, view, replicas, createdSecs, leavesAtMs }: EntrySource): ModelEntry {
  const block = fleet.modelsById.get(id);
  const loaded = replicas.filter(({ model }) => model.status === "loaded");
  const limit = tightestLimit(loaded) ?? declaredLimit(block);
  const cost = block?.cost;
  const file = view.known.get(id)?.file;
  return {
    id,
    object: "model",
    created: createdSecs,
    owned_by: "cortex",
    loaded: loaded.length > 0,
    feasible_on: block === undefined ? [] : feasibleOn(block, fleet, view),
    locations: replicas.map(({ node, model }) => {
      const atMs = leavesAtMs(node, model);
      return {
        node,
        status: model.status,
        vram_estimate_mb: model.vram_used_mb,
        ...(atMs === null ? {} : { leaves_at_ms: atMs }),
      };
    }),
    ...(limit === undefined ? {} : { limit }),
    ...(cost === undefined ? {} : { cost }),
    ...abilitiesOf({ loaded, known: view.known.get(id)?.abilities, block }),
    ...flatLimits(limit),
    ...(file === undefined ? {} : { file }),
  };
}

/** What the weights say, now or when they were loaded last, wins over what the files say. */
function abilitiesOf({ loaded, known, block }: AbilitySources): ModelAbilities {
  const declared = [...(block?.capabilities ?? [])].sort();
  if (loaded.length === 0) {
    const { capabilities = [], tool_call = false, reasoning = false } = known ?? {};
    return {
      capabilities: capabilities.length > 0 ? capabilities.toSorted() : declared,
      tool_call,
      reasoning,
    };
  }
  const reported = [...new Set(loaded.flatMap(({ model }) => model.capabilities))].sort();
  return {
    capabilities: reported.length > 0 ? reported : declared,
    tool_call: loaded.some(({ model }) => model.tool_call),
    reasoning: loaded.some(({ model }) => model.reasoning),
  };
}

interface AbilitySources {
  readonly loaded: readonly Replica[];
  readonly known: ModelAbilities | undefined;
  readonly block: ModelBlock | undefined;
}

type Limit = NonNullable<ModelEntry["limit"]>;

/** The limit that every replica can hold: the smallest context among them. */
function tightestLimit(loaded: readonly Replica[]): Limit | undefined {
  let tightest: Limit | undefined;
  for (const { model } of loaded) {
    if (model.limit === null) continue;
    if (tightest === undefined || model.limit.context < tightest.context) tightest = model.limit;
  }
  return tightest;
}

/** Of a model that is not loaded yet: clients make their settings of it before they ask for the first time. */
function declaredLimit(block: ModelBlock | undefined): Limit | undefined {
  if (block?.limit !== undefined) return block.limit;
  return block?.context === undefined ? undefined : { context: block.context };
}

/** vLLM's names for the limit; absent, not 0, when unknown. */
function flatLimits(
  limit: Limit | undefined,
): Pick<ModelEntry, "max_model_len" | "max_input_tokens" | "max_output_tokens"> {
  if (limit === undefined) return {};
  return {
    max_model_len: limit.context,
    ...(limit.input === undefined ? {} : { max_input_tokens: limit.input }),
    ...(limit.output === undefined ? {} : { max_output_tokens: limit.output }),
  };
}

function feasibleOn(block: ModelBlock, fleet: FleetIndex, view: FleetView): string[] {
  return fleet.neurons
    .filter((declared) => {
      const neuron = view.neurons.get(declared.name);
      return (
        neuron?.health === "healthy" && feasibilityOf(block, declared, { view: neuron }).kind === "feasible"
      );
    })
    .map((declared) => declared.name);
}
