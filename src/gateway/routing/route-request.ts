import { CortexError, isErrorCode } from "../../core/errors.ts";
import { nearest } from "../../core/nearest.ts";
import { compareText } from "../../core/order.ts";
import type { ModelBlock } from "../../fleet/schema/fleet-schema.ts";
import type { ResidentModel } from "../../protocol/neuron-api.ts";
import { resolveAlias, type FleetIndex } from "../view/fleet-index.ts";
import { healthyNeurons, replicaLoad, type FleetView, type NeuronView } from "../view/fleet-view.ts";
import { byPreference, feasibilityOf, loadCandidate, type LoadCandidate } from "./load-feasibility.ts";

export interface RoutingFacts {
  /** As the client wrote it: an id or an alias. */
  readonly model: string;
  /** Requests this gateway has open at a replica. */
  readonly outstanding: (neuron: string, modelId: string) => number;
  /** What is known of a replica's failures; null: nothing. */
  readonly trust: (neuron: string, modelId: string) => Trust | null;
  /** Neurons that just failed this request: taken only when nothing else serves. */
  readonly avoid: ReadonlySet<string>;
  /** Neurons found dead by this request: not taken at all, whatever the view still says. */
  readonly excluded: ReadonlySet<string>;
}

/** How far a replica is trusted after failures. */
export interface Trust {
  /** Taken only when nothing else serves. */
  readonly isLeftOut: boolean;
  /** Taken before all others, by one request: to find out whether it serves again. */
  readonly isProbeDue: boolean;
  /** Counts as so many requests more. */
  readonly extraWork: number;
}

/** One neuron and why it was or was not chosen; numbers stay numbers, so that the hot path builds no strings. */
export interface Considered {
  readonly neuron: string;
  readonly verdict: string;
  readonly figure?: number;
}

export type Decision =
  | {
      readonly kind: "serve";
      readonly modelId: string;
      readonly neuron: string;
      readonly considered: readonly Considered[];
    }
  | {
      readonly kind: "wait";
      readonly modelId: string;
      readonly neuron: string;
      readonly considered: readonly Considered[];
    }
  | {
      readonly kind: "load";
      readonly modelId: string;
      readonly neuron: string;
      readonly block: ModelBlock;
      readonly considered: readonly Considered[];
    }
  | {
      readonly kind: "refuse";
      readonly modelId: string;
      readonly error: CortexError;
      readonly considered: readonly Considered[];
    };

/**
 * Where a request goes, from a snapshot of what is known. Order: a replica that serves, a load in progress, a cold
 * load, a refusal that tells trouble that passes (503, try again) from what can never be (404, and why).
 */
export function decide(facts: RoutingFacts, fleet: FleetIndex, view: FleetView): Decision {
  const modelId = resolveAlias(fleet, facts.model);
  const considered: Considered[] = [];
  const replica = leastLoadedReplica({ modelId, facts, fleet, view, considered });
  if (replica !== undefined) return { kind: "serve", modelId, neuron: replica, considered };
  const loading = loadInProgress(modelId, facts, view);
  if (loading !== undefined) return { kind: "wait", modelId, neuron: loading, considered };
  const block = fleet.modelsById.get(modelId);
  if (block === undefined) {
    return { kind: "refuse", modelId, considered, error: refuseUnlisted({ modelId, facts, fleet, view }) };
  }
  return decideLoad({ modelId, block, facts, fleet, view, considered });
}

interface Routing {
  readonly modelId: string;
  readonly facts: RoutingFacts;
  readonly fleet: FleetIndex;
  readonly view: FleetView;
  readonly considered: Considered[];
}

interface Serving {
  readonly name: string;
  readonly rank: number;
  readonly load: number;
}

const bySuitability = (left: Serving, right: Serving): number =>
  left.rank - right.rank || left.load - right.load || compareText(left.name, right.name);

function leastLoadedReplica(routing: Routing): string | undefined {
  const { modelId, facts, fleet, view, considered } = routing;
  let best: Serving | undefined;
  for (const neuron of healthyNeurons(view)) {
    const model = neuron.models.get(modelId);
    if (model === undefined) continue;
    const obstacle = servingObstacle(neuron, model, facts);
    if (obstacle !== undefined) {
      considered.push({ neuron: neuron.name, verdict: obstacle });
      continue;
    }
    const trust = facts.trust(neuron.name, modelId);
    const load =
      replicaLoad(neuron, modelId, facts.outstanding(neuron.name, modelId)) + (trust?.extraWork ?? 0);
    considered.push({ neuron: neuron.name, verdict: verdictOn(trust), figure: load });
    const isDrained = fleet.neuronsByName.get(neuron.name)?.drain === true;
    const rank = serveRank({ hasFailed: facts.avoid.has(neuron.name), isDrained, trust });
    const replica = { name: neuron.name, rank, load };
    if (best === undefined || bySuitability(replica, best) < 0) best = replica;
  }
  return best?.name;
}

const verdictOn = (trust: Trust | null): string => {
  if (trust?.isLeftOut === true) return "fails of late";
  return trust?.isProbeDue === true ? "is tried again" : "serves";
};

/** One that just failed, then one that fails of late, then one that is being emptied give way to any other. */
function serveRank(replica: {
  readonly hasFailed: boolean;
  readonly isDrained: boolean;
  readonly trust: Trust | null;
}): number {
  const { hasFailed, isDrained, trust } = replica;
  if (trust?.isProbeDue === true && !hasFailed) return -1;
  return Number(hasFailed) * 4 + Number(trust?.isLeftOut === true) * 2 + Number(isDrained);
}

/** What keeps a copy that is there from serving, for people to read; undefined when nothing does. */
function servingObstacle(neuron: NeuronView, model: ResidentModel, facts: RoutingFacts): string | undefined {
  if (facts.excluded.has(neuron.name)) return "does not answer";
  if (neuron.draining) return "draining";
  if (model.status !== "loaded") return model.status;
  return model.servable.ok ? undefined : "not servable";
}

function loadInProgress(modelId: string, facts: RoutingFacts, view: FleetView): string | undefined {
  for (const neuron of healthyNeurons(view)) {
    if (neuron.draining || facts.excluded.has(neuron.name)) continue;
    if (neuron.models.get(modelId)?.status === "loading") return neuron.name;
  }
  return undefined;
}

function decideLoad(routing: Routing & { readonly block: ModelBlock }): Decision {
  const { modelId, block, view, considered } = routing;
  const prospects = loadProspects(routing);
  const best = prospects.candidates.sort(byPreference)[0];
  if (best === undefined) {
    return { kind: "refuse", modelId, considered, error: refuseLoad(prospects, modelId, view) };
  }
  if (best.neuron.models.get(modelId)?.status === "loaded") {
    return { kind: "refuse", modelId, considered, error: refuseUnservable(modelId, best.neuron) };
  }
  for (const candidate of prospects.candidates) {
    const verdict = candidate.fits ? "could load it" : "could load it once memory is freed";
    considered.push({ neuron: candidate.neuron.name, verdict, figure: candidate.freeMb });
  }
  return { kind: "load", modelId, neuron: best.neuron.name, block, considered };
}

interface LoadProspects {
  readonly candidates: LoadCandidate[];
  readonly impossible: { readonly neuron: string; readonly reason: string }[];
  /** Might hold it, but take no work now. */
  readonly troubled: string[];
  healthy: number;
}

function loadProspects(routing: Routing & { readonly block: ModelBlock }): LoadProspects {
  const { block, facts, fleet, view, considered } = routing;
  const prospects: LoadProspects = { candidates: [], impossible: [], troubled: [], healthy: 0 };
  for (const declared of fleet.neurons) {
    const neuron = view.neurons.get(declared.name);
    if (neuron === undefined) continue;
    const answers = neuron.health === "healthy" && !facts.excluded.has(neuron.name);
    prospects.healthy += Number(answers);
    const feasibility = feasibilityOf(block, declared, neuron);
    if (feasibility.kind === "impossible") {
      prospects.impossible.push({ neuron: declared.name, reason: feasibility.reason });
      considered.push({ neuron: declared.name, verdict: feasibility.reason });
    } else if (answers && !neuron.draining && feasibility.kind === "feasible") {
      prospects.candidates.push(loadCandidate(block, neuron));
    } else {
      prospects.troubled.push(declared.name);
      considered.push({ neuron: declared.name, verdict: neuron.draining ? "draining" : "does not answer" });
    }
  }
  return prospects;
}

function refuseLoad(prospects: LoadProspects, modelId: string, view: FleetView): CortexError {
  if (prospects.healthy === 0) return refuseNoneHealthy(modelId, view);
  if (prospects.troubled.length > 0) return refuseTroubled(modelId, prospects.troubled);
  return refuseInfeasible(modelId, prospects.impossible);
}

function refuseNoneHealthy(modelId: string, view: FleetView): CortexError {
  const total = view.neurons.size;
  const message =
    total === 0
      ? `the fleet files declare no neuron, so nothing can serve ${modelId}`
      : `none of the ${total} neuron(s) answers, so nothing can serve ${modelId}`;
  return new CortexError("no_healthy_neuron", message, { details: { model_id: modelId } });
}

function refuseTroubled(modelId: string, neurons: readonly string[]): CortexError {
  const message = `${modelId} is not loaded, and what could hold it does not take work now: ${neurons.join(", ")}`;
  return new CortexError("feasible_neuron_unhealthy", message, { details: { model_id: modelId, neurons } });
}

function refuseInfeasible(
  modelId: string,
  refusals: readonly { readonly neuron: string; readonly reason: string }[],
): CortexError {
  const reasons = refusals.map(({ neuron, reason }) => `${neuron}: ${reason}`).join("; ");
  return new CortexError("no_feasible_neuron", `no neuron can ever hold ${modelId}: ${reasons}`, {
    details: { model_id: modelId, refusals },
  });
}

function refuseUnservable(modelId: string, neuron: NeuronView): CortexError {
  const { reason, detail } = neuron.models.get(modelId)?.servable ?? {};
  const code = isErrorCode(reason) ? reason : "insufficient_vram";
  const why = detail ?? reason ?? "it says that it cannot serve it now";
  return new CortexError(code, `${modelId} is loaded on ${neuron.name}, but: ${why}`, {
    details: { model_id: modelId, neurons: [neuron.name] },
  });
}

/** A model that no fleet file names: known only while some neuron holds it. */
function refuseUnlisted(routing: Omit<Routing, "considered">): CortexError {
  const { modelId, facts, fleet, view } = routing;
  const holders = [...view.neurons.values()].filter((neuron) => neuron.models.has(modelId));
  if (holders.length > 0) {
    return refuseTroubled(
      modelId,
      holders.map((neuron) => neuron.name),
    );
  }
  const shown = facts.model.length > 100 ? `${facts.model.slice(0, 100)}...` : facts.model;
  const alias = fleet.aliases.has(facts.model) ? ` (alias of ${modelId})` : "";
  const known = [...knownModelNames(fleet, view)];
  // Distance costs the product of both lengths; nobody meant a name of that size.
  const meant = facts.model.length > 256 ? undefined : nearest(facts.model, known);
  const hint = meant === undefined || meant === facts.model ? "" : `; did you mean "${meant}"?`;
  return new CortexError("model_not_found", `no model "${shown}"${alias} in this fleet${hint}`, {
    param: "model",
    details: { model_id: shown, ...(hint === "" ? {} : { nearest: meant }) },
  });
}

/** Every name a client may ask for: catalogue, aliases, and what neurons hold beside them. */
export function knownModelNames(fleet: FleetIndex, view: FleetView): Set<string> {
  const names = new Set([...fleet.modelsById.keys(), ...fleet.aliases.keys()]);
  for (const neuron of healthyNeurons(view)) for (const id of neuron.models.keys()) names.add(id);
  return names;
}

/** The model's id when it is known, for labels: a client must not be able to invent new ones. */
export function knownModelId(fleet: FleetIndex, view: FleetView, requested: string): string | undefined {
  const modelId = resolveAlias(fleet, requested);
  if (fleet.modelsById.has(modelId)) return modelId;
  for (const neuron of view.neurons.values()) if (neuron.models.has(modelId)) return modelId;
  return undefined;
}
