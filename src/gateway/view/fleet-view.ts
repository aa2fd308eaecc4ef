import type {
  Discovery,
  Health,
  ModelAbilities,
  ModelFile,
  ModelLoad,
  ModelsResponse,
  ResidentModel,
} from "../../protocol/neuron-api.ts";
import type { NeuronHealthState } from "../../protocol/gateway-api.ts";

/** Polls missed in a row until a neuron that was healthy counts as unhealthy. */
export const MISSES_UNTIL_UNHEALTHY = 3;

/** What the gateway knows of one neuron. Everything but the health is as of `lastSeenMs`. */
export interface NeuronView {
  readonly name: string;
  readonly health: NeuronHealthState;
  /** Polls missed in a row. */
  readonly misses: number;
  /** Why the last poll failed; null after one that did not. */
  readonly problem: string | null;
  /** Milliseconds since the epoch. */
  readonly lastSeenMs: number | null;
  readonly discovery: Discovery | null;
  readonly readings: Health["devices"];
  readonly uptimeSecs: number | null;
  /** The neuron itself refuses new work. */
  readonly draining: boolean;
  readonly generation: number | null;
  readonly models: ReadonlyMap<string, ResidentModel>;
  readonly loads: ReadonlyMap<string, ModelLoad>;
  /** Requests that this gateway had open per model when the loads were read: they are counted in `loads`. */
  readonly outstandingWhenSeen: ReadonlyMap<string, number>;
}

export interface FleetView {
  readonly neurons: ReadonlyMap<string, NeuronView>;
  /** Last measured load time per model, milliseconds; kept after the model has left. */
  readonly measuredLoadMs: ReadonlyMap<string, number>;
  /** What models turned out to be; kept after they have left. */
  readonly known: ReadonlyMap<string, KnownModel>;
}

export interface KnownModel {
  readonly file?: ModelFile | undefined;
  readonly abilities?: ModelAbilities | undefined;
}

export type FleetEvent =
  /** A poll brought what the neuron is and holds. */
  | {
      readonly kind: "neuron-answered";
      readonly neuron: string;
      readonly atMs: number;
      /** Null when it was not asked again. */
      readonly discovery: Discovery | null;
      readonly health: Health;
      readonly models: ModelsResponse;
      readonly outstanding: ReadonlyMap<string, number>;
    }
  /** A poll brought nothing, and why. */
  | { readonly kind: "neuron-missed"; readonly neuron: string; readonly problem: string };

const neverSeen = (name: string): NeuronView => ({
  name,
  health: "unknown",
  misses: 0,
  problem: null,
  lastSeenMs: null,
  discovery: null,
  readings: [],
  uptimeSecs: null,
  draining: false,
  generation: null,
  models: new Map(),
  loads: new Map(),
  outstandingWhenSeen: new Map(),
});

export const initialFleetView = (neuronNames: readonly string[]): FleetView => ({
  neurons: new Map(neuronNames.map((name) => [name, neverSeen(name)])),
  measuredLoadMs: new Map(),
  known: new Map(),
});

/** Only these neurons count from now on; what is known of them stays known. */
export const withNeurons = (view: FleetView, names: readonly string[]): FleetView => ({
  ...view,
  neurons: new Map(names.map((name) => [name, view.neurons.get(name) ?? neverSeen(name)])),
});

/** The next view after one poll. An event about a neuron that is not in the fleet changes nothing. */
export function applyFleetEvent(view: FleetView, event: FleetEvent): FleetView {
  const before = view.neurons.get(event.neuron);
  if (before === undefined) return view;
  const after =
    event.kind === "neuron-missed" ? afterMiss(before, event.problem) : afterAnswer(before, event);
  return {
    neurons: new Map(view.neurons).set(event.neuron, after),
    measuredLoadMs:
      event.kind === "neuron-missed"
        ? view.measuredLoadMs
        : withMeasuredLoads(view.measuredLoadMs, event.models.models),
    known: event.kind === "neuron-missed" ? view.known : withKnown(view.known, event),
  };
}

function afterMiss(before: NeuronView, problem: string): NeuronView {
  const misses = before.misses + 1;
  // A neuron that never answered gets no benefit of the doubt: there is nothing it could be asked for.
  const unhealthy = before.health !== "healthy" || misses >= MISSES_UNTIL_UNHEALTHY;
  return { ...before, misses, problem, health: unhealthy ? "unhealthy" : "healthy" };
}

function afterAnswer(
  before: NeuronView,
  event: Extract<FleetEvent, { kind: "neuron-answered" }>,
): NeuronView {
  return {
    name: before.name,
    health: "healthy",
    misses: 0,
    problem: null,
    lastSeenMs: event.atMs,
    discovery: event.discovery ?? before.discovery,
    readings: event.health.devices,
    uptimeSecs: event.health.uptime_secs,
    draining: event.health.status === "draining",
    generation: event.models.generation,
    models: new Map(event.models.models.map((model) => [model.id, model])),
    loads: new Map(event.health.models.map((load) => [load.id, load])),
    outstandingWhenSeen: event.outstanding,
  };
}

function withMeasuredLoads(
  measured: ReadonlyMap<string, number>,
  models: readonly ResidentModel[],
): ReadonlyMap<string, number> {
  const news = models.filter(
    (model) => model.load_duration_ms !== null && measured.get(model.id) !== model.load_duration_ms,
  );
  if (news.length === 0) return measured;
  const next = new Map(measured);
  for (const model of news) if (model.load_duration_ms !== null) next.set(model.id, model.load_duration_ms);
  return next;
}

/** What is loaded tells of itself; of what is not, neurons remember it from earlier loads. */
function withKnown(
  known: FleetView["known"],
  { discovery, models }: Extract<FleetEvent, { kind: "neuron-answered" }>,
): FleetView["known"] {
  const remembered = (discovery?.facts ?? [])
    .filter(({ model_id: id, file, abilities }) => !known.has(id) && (file ?? abilities) !== undefined)
    .map(({ model_id: id, file, abilities }) => [id, { file, abilities }] as const);
  const seen = models.models
    .filter((model) => model.status === "loaded" && isNews(known.get(model.id), model))
    .map((model) => [model.id, { file: model.file, abilities: abilitiesOf(model) }] as const);
  return remembered.length + seen.length === 0 ? known : new Map([...known, ...remembered, ...seen]);
}

const abilitiesOf = ({ capabilities, tool_call, reasoning }: ResidentModel): ModelAbilities => ({
  capabilities,
  tool_call,
  reasoning,
});

const isNews = (known: KnownModel | undefined, model: ResidentModel): boolean =>
  JSON.stringify([known?.file, known?.abilities]) !== JSON.stringify([model.file, abilitiesOf(model)]);

/**
 * Whether a poll must ask `/discovery` too: at first sight, after trouble, and after a restart (the uptime went
 * back), since a machine may come back with other devices.
 */
export const needsDiscovery = (before: NeuronView, uptimeSecs: number): boolean =>
  before.discovery === null ||
  before.misses > 0 ||
  (before.uptimeSecs !== null && uptimeSecs < before.uptimeSecs);

/** Routable neurons in order of the fleet index; callers decide what else they demand of them. */
export function* healthyNeurons(view: FleetView): Generator<NeuronView> {
  for (const neuron of view.neurons.values()) if (neuron.health === "healthy") yield neuron;
}

/**
 * Work at a replica: what the neuron reported, corrected by what this gateway has sent and seen ended since.
 * Adding all of its own open requests instead would count them twice once the neuron has reported them.
 */
export function replicaLoad(neuron: NeuronView, modelId: string, outstanding: number): number {
  const reported = neuron.loads.get(modelId);
  const atPoll = reported === undefined ? 0 : reported.in_flight + reported.queue_depth;
  const since = outstanding - (neuron.outstandingWhenSeen.get(modelId) ?? 0);
  return Math.max(outstanding, atPoll + since, 0);
}
