import { CortexError, isErrorCode } from "../../core/errors.ts";
import { nearest } from "../../core/nearest.ts";
import type { ModelBlock } from "../../fleet/schema/fleet-schema.ts";
import type { ResidentModel } from "../../protocol/neuron-api.ts";
import { resolveAlias, type FleetIndex } from "../view/fleet-index.ts";
import { healthyNeurons, replicaLoad, type FleetView, type NeuronView } from "../view/fleet-view.ts";
import { chooseReplica } from "./replica-choice.ts";
import { comparableSpeeds, presumedSpeed, type CopySpeed } from "./replica-speed.ts";
import { loadProspects, refuseLoad, refuseTroubled } from "./load-prospects.ts";

export interface RoutingFacts {
  /** As the client wrote it: an id or an alias. */
  readonly model: string;
  readonly copies: KnownOfCopies;
  /** What the requests of one conversation share, asked for where there is a choice; null: nothing tells. */
  readonly affinity: () => string | null;
  /** Neurons that just failed this request: taken only when nothing else serves. */
  readonly avoid: ReadonlySet<string>;
  /** Neurons found dead by this request: not taken at all, whatever the view still says. */
  readonly excluded: ReadonlySet<string>;
}

/** What this gateway knows of copies by its own requests. */
export interface KnownOfCopies {
  /** Requests that it has open there. */
  outstanding(neuron: string, modelId: string): number;
  /** What is known of its failures; null: nothing. */
  trustIn(neuron: string, modelId: string): Trust | null;
  /** Tokens a second of its answers of late; null: not measured. */
  speedOf(neuron: string, modelId: string): number | null;
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
  /** Nothing serves it, or what does has no room (`replica`): it waits for its turn. */
  | {
      readonly kind: "wait";
      readonly modelId: string;
      readonly replica: string | null;
      readonly considered: readonly Considered[];
    }
  | {
      readonly kind: "refuse";
      readonly modelId: string;
      readonly error: CortexError;
      readonly considered: readonly Considered[];
    };

/**
 * Where a request goes, from a snapshot of what is known: to a replica that serves, into the queue of a model that
 * can be loaded, or away, with a refusal that tells trouble that passes (503, try again) from what can never be (404,
 * and why). What is loaded where for those who wait is decided in `loading`.
 */
export function decide(facts: RoutingFacts, fleet: FleetIndex, view: FleetView): Decision {
  const modelId = resolveAlias(fleet, facts.model);
  const considered: Considered[] = [];
  const replica = bestReplica({ modelId, facts, fleet, view, considered });
  // As long as it is: it is kept as long as the request, and then for who asks why.
  if (replica !== undefined) return { kind: "serve", modelId, neuron: replica, considered: [...considered] };
  const block = fleet.modelsById.get(modelId);
  if (block === undefined) {
    if (isLoading(modelId, facts, view)) return { kind: "wait", modelId, replica: null, considered };
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

interface Serving extends CopySpeed {
  readonly neuron: string;
  readonly rank: number;
  readonly load: number;
}

function bestReplica(routing: Routing): string | undefined {
  const serving = servingReplicas(routing);
  const [only] = serving;
  if (serving.length < 2) return only?.neuron;
  const rank = Math.min(...serving.map((replica) => replica.rank));
  const equals = serving.filter((replica) => replica.rank === rank);
  if (equals.length < 2) return equals[0]?.neuron;
  const speeds = comparableSpeeds(equals);
  const offers = equals.map((replica, at) => ({ ...replica, speed: speeds[at] ?? replica.presumed }));
  // A replica that is tried again is tried by whoever comes.
  return chooseReplica(offers, rank < 0 ? null : routing.facts.affinity())?.neuron;
}

function servingReplicas(routing: Routing): readonly Serving[] {
  const { modelId, facts, fleet, view, considered } = routing;
  const serving: Serving[] = [];
  for (const neuron of view.neurons.values()) {
    const model = neuron.health === "healthy" ? neuron.models.get(modelId) : undefined;
    if (model === undefined) continue;
    const obstacle = servingObstacle(neuron, model, facts);
    if (obstacle !== undefined) {
      considered.push({ neuron: neuron.name, verdict: obstacle });
      continue;
    }
    const trust = facts.copies.trustIn(neuron.name, modelId);
    const load =
      replicaLoad(neuron, modelId, facts.copies.outstanding(neuron.name, modelId)) + (trust?.extraWork ?? 0);
    considered.push({ neuron: neuron.name, verdict: verdictOn(trust), figure: load });
    const isDrained = fleet.neuronsByName.get(neuron.name)?.drain === true;
    const rank = serveRank({ hasFailed: facts.avoid.has(neuron.name), isDrained, trust });
    const measured = facts.copies.speedOf(neuron.name, modelId);
    serving.push({ neuron: neuron.name, rank, load, measured, presumed: presumedSpeed(neuron, model) });
  }
  return serving;
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

function isLoading(modelId: string, facts: RoutingFacts, view: FleetView): boolean {
  for (const neuron of healthyNeurons(view)) {
    if (neuron.draining || facts.excluded.has(neuron.name)) continue;
    if (neuron.models.get(modelId)?.status === "loading") return true;
  }
  return false;
}

function decideLoad(routing: Routing & { readonly block: ModelBlock }): Decision {
  const { modelId, block, facts, fleet, view, considered } = routing;
  const prospects = loadProspects(block, fleet, { view, excluded: facts.excluded });
  for (const { neuron, reason } of [...prospects.impossible, ...prospects.troubled]) {
    considered.push({ neuron, verdict: reason });
  }
  for (const { name } of prospects.able) considered.push({ neuron: name, verdict: "could load it" });
  if (prospects.able.length > 0) return { kind: "wait", modelId, replica: null, considered };
  for (const { neuron } of prospects.troubled) {
    const copy = view.neurons.get(neuron);
    const isHere = copy?.health === "healthy" && !copy.draining && !facts.excluded.has(neuron);
    if (copy !== undefined && isHere && copy.models.get(modelId)?.status === "loaded") {
      return { kind: "refuse", modelId, considered, error: refuseUnservable(modelId, copy) };
    }
  }
  return { kind: "refuse", modelId, considered, error: refuseLoad(prospects, modelId, view) };
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
