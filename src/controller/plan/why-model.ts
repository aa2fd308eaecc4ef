import { by } from "../../core/order.ts";
import { CortexError } from "../../core/errors.ts";
import { nearest } from "../../core/nearest.ts";
import type { Fleet, ModelBlock, NeuronBlock } from "../../fleet/schema/fleet-schema.ts";
import type { WhyNeuron, WhyReport } from "../../protocol/why-report.ts";
import { desiredModels, type DesiredModel } from "../intent/desired-models.ts";
import { placeWithoutDoubt } from "../place/doubtful-copies.ts";
import { reachableNeurons } from "../observe/observed-fleet.ts";
import { standingChecks } from "../place/board/standing-checks.ts";
import { adviceText, copiesShort, summaryOf } from "../place/explain/refusals.ts";
import { ruleText } from "../place/explain/words.ts";
import type { Placement, UnplacedExplanation } from "../place/board/placement.ts";
import { drawPlan } from "./draw-plan.ts";
import { encodeAssignment } from "./encode-placement.ts";
import type { FleetPlan } from "./fleet-plan.ts";
import type { PlanInput } from "./plan-input.ts";
import { RemedyTrials } from "./remedy-trials.ts";
import { judgeCopies } from "../intent/present-copies.ts";

/*
 * Why a model is where it is and not elsewhere. The copies come with the rule that placed them. For every other
 * neuron the question is put to placement itself: were the model pinned there, would a copy find room, and at whose
 * cost? So the answer is the one that editing the pin would give, not a guess beside it.
 */
export interface WhyQuestion {
  readonly modelId: string;
  /** Only this neuron; all of them otherwise. */
  readonly neuron?: string | undefined;
}

/** Neurons for which the question is played through when none is named. */
const MOST_GAMES = 24;

/** Throws `model_not_found` or `usage_error` for names that nobody knows. */
export function whyModel(input: PlanInput, question: WhyQuestion): WhyReport {
  const { fleet, observed } = input;
  const { modelId } = question;
  checkNames(input, question);
  const plan = drawPlan(input);
  const model = desiredModels(fleet, observed).get(modelId);
  const asked = fleet.neurons
    .filter(({ name }) => question.neuron === undefined || name === question.neuron)
    .toSorted(by(({ name }) => name));
  const mayPlay = asked.length <= MOST_GAMES;
  const games =
    model === undefined ? [] : asked.map((block) => askNeuron({ input, plan, model, block, mayPlay }));
  const unplaced = plan.unplaced.find((copy) => copy.modelId === modelId);
  const copies = plan.assignments.filter((assignment) => assignment.modelId === modelId);
  const silent = plan.unknown.find((copy) => copy.modelId === modelId)?.neurons ?? [];
  const missing = unplaced === undefined ? 0 : copiesShort(unplaced);
  const facts = { copies: copies.length, missing, model, unplaced };
  return {
    model_id: modelId,
    declared: model === undefined ? null : declaredFacts(model),
    summary: summary(facts, silent),
    copies: copies.map(encodeAssignment),
    others: otherCopies(
      plan,
      modelId,
      copies.map(({ neuron }) => neuron),
    ),
    missing,
    unknown_on: silent,
    changes: plan.rows.filter((row) => row.modelId === modelId).map(({ id, detail }) => ({ id, detail })),
    neurons: games.map(({ answer }) => answer),
    remedies: remediesOf(unplaced, question.neuron === undefined ? [] : games),
  };
}

/** Those of the missing copy; for a copy that is placed, those that would let it onto the neuron in question. */
function remediesOf(
  unplaced: UnplacedExplanation | undefined,
  games: readonly { readonly remedies: readonly string[] }[],
): string[] {
  const remedies = unplaced?.remedies.map((remedy) => adviceText(remedy, unplaced)) ?? [];
  return remedies.length > 0 ? remedies : games.flatMap((game) => game.remedies);
}

function checkNames({ fleet, observed }: PlanInput, { modelId, neuron }: WhyQuestion): void {
  const loaded = reachableNeurons(observed).flatMap(({ models }) => models.map(({ id }) => id));
  const models = [...new Set([...fleet.models.map(({ id }) => id), ...loaded])];
  const target = fleet.aliases[modelId];
  if (!models.includes(modelId)) {
    const guess = target ?? nearest(modelId, models);
    throw new CortexError("model_not_found", `no model ${modelId} is declared or loaded`, {
      next: guess === undefined ? "cortex status lists the models" : `cortex why ${guess}`,
    });
  }
  const names = fleet.neurons.map(({ name }) => name);
  if (neuron === undefined || names.includes(neuron)) return;
  const guess = nearest(neuron, names);
  throw new CortexError("usage_error", `no neuron ${neuron} is declared`, {
    next: guess === undefined ? "cortex status lists the neurons" : `did you mean ${guess}?`,
  });
}

const declaredFacts = ({
  block,
  priority,
  need,
  floor,
}: DesiredModel): NonNullable<WhyReport["declared"]> => ({
  replicas: block.replicas,
  residency_priority: priority,
  pinned_on: block.pinned_on,
  min_devices: floor.minDevices,
  min_device_vram_mb: floor.minDeviceMib,
  need_mb: need.mib ?? null,
  need_source: need.source,
});

function summary(
  facts: {
    readonly copies: number;
    readonly missing: number;
    readonly model: DesiredModel | undefined;
    readonly unplaced: UnplacedExplanation | undefined;
  },
  silent: readonly string[],
): string {
  const { copies, missing, model, unplaced } = facts;
  if (model === undefined) return "no [[models]] block declares it";
  const { replicas } = model.block;
  if (replicas === 0) return "replicas = 0: it is loaded when a request asks for it, and leaves by policy";
  const parts = [placedText(copies, replicas)];
  if (missing > 0 && unplaced !== undefined) parts.push(`${missing} missing: ${summaryOf(unplaced)}`);
  const unknown = replicas - copies - missing;
  if (silent.length > 0 && unknown > 0)
    parts.push(
      `${unknown} may be on ${silent.join(" or ")}, which ${silent.length === 1 ? "does" : "do"} not answer`,
    );
  return parts.join("; ");
}

function placedText(copies: number, replicas: number): string {
  if (replicas === 1) return copies === 1 ? "its copy has a place" : "its copy has no known place";
  if (copies === 0) return `none of its ${replicas} copies has a known place`;
  return copies === replicas
    ? `${replicas === 2 ? "both" : `all ${replicas}`} copies have a place`
    : `${copies} of ${replicas} copies ${copies === 1 ? "has" : "have"} a place`;
}

/** Copies that are loaded and have no place in the plan: they leave, or belong to somebody else. */
function otherCopies(plan: FleetPlan, modelId: string, placed: readonly string[]): WhyReport["others"] {
  return reachableNeurons(plan.observed)
    .filter((neuron) => !placed.includes(neuron.name))
    .filter((neuron) => neuron.models.some((model) => model.id === modelId))
    .toSorted(by(({ name }) => name))
    .map(({ name: neuron }) => {
      const isHere = (row: { readonly modelId: string; readonly neuron: string }): boolean =>
        row.modelId === modelId && row.neuron === neuron;
      const leaves = plan.rows.find((row) => isHere(row) && row.kind === "unload");
      const alone = plan.leftAlone.find(isHere);
      return { neuron, detail: leaves?.detail ?? alone?.reason ?? "loaded on demand" };
    });
}

interface Game {
  readonly input: PlanInput;
  readonly plan: FleetPlan;
  readonly model: DesiredModel;
  readonly block: NeuronBlock;
  /** False: only what can be told without placing anything. */
  readonly mayPlay: boolean;
}

function askNeuron(game: Game): { readonly answer: WhyNeuron; readonly remedies: readonly string[] } {
  const { input, plan, model, block } = game;
  const neuron = block.name;
  const held = plan.assignments.find((copy) => copy.modelId === model.block.id && copy.neuron === neuron);
  const seen = input.observed.neurons.find(({ name }) => name === neuron);
  const standing = standingChecks(model, block, seen).map((check) => ({ ...check }));
  const base = { neuron, checks: standing, displaces: [] };
  if (held !== undefined)
    return { answer: { ...base, verdict: "holds", detail: ruleText(held) }, remedies: [] };
  const failing = standing.filter(({ ok }) => !ok);
  const words = failing.map(({ detail }) => detail).join("; ");
  const isOnlyPin = failing.every(({ check }) => check === "pinned_on");
  if (!isOnlyPin || !game.mayPlay) {
    const verdict = failing.length === 0 ? "could" : "cannot";
    const detail =
      failing.length === 0 ? "meets every fixed requirement; ask with --on for its memory" : words;
    return { answer: { ...base, verdict, detail }, remedies: [] };
  }
  const outcome = playPin(input, model.block, neuron);
  if (outcome.explanation === undefined) {
    const cost =
      outcome.displaces.length === 0
        ? "nobody would have to leave"
        : `${outcome.displaces.join(", ")} would give way`;
    const isAllowed = failing.length === 0;
    const isElsewhere = isAllowed && model.block.replicas > 0;
    const pinned = isAllowed ? "could hold one, and " : `${words}; were it, it could hold one, and `;
    const preferred = isElsewhere ? "; another place was better" : "";
    const verdict = isAllowed ? "could" : "cannot";
    const detail = `${pinned}${cost}${preferred}`;
    return { answer: { ...base, verdict, detail, displaces: outcome.displaces }, remedies: [] };
  }
  return refused({ base, words, explanation: outcome.explanation, neuron });
}

/** What becomes of one copy of the model if it may be nowhere but here. */
function playPin(
  { fleet, observed }: PlanInput,
  block: ModelBlock,
  neuron: string,
): { readonly explanation: UnplacedExplanation | undefined; readonly displaces: readonly string[] } {
  const pinned: ModelBlock = { ...block, pinned_on: [neuron], replicas: 1 };
  const edited: Fleet = {
    ...fleet,
    models: fleet.models.map((other) => (other.id === block.id ? pinned : other)),
  };
  const desired = desiredModels(edited, observed);
  const placement: Placement = placeWithoutDoubt({
    fleet: edited,
    observed,
    desired,
    copies: judgeCopies(edited, observed, desired),
  });
  const placed = placement.assignments.find(({ modelId }) => modelId === block.id);
  const explanation = placement.explanations.find(({ modelId }) => modelId === block.id);
  const tried =
    explanation === undefined ? [] : new RemedyTrials(edited, observed).explained([explanation], placement);
  return {
    explanation: tried[0],
    displaces: placed === undefined ? [] : placement.explain(placed).displaces,
  };
}

function refused(parts: {
  readonly base: Pick<WhyNeuron, "neuron" | "checks" | "displaces">;
  readonly words: string;
  readonly explanation: UnplacedExplanation;
  readonly neuron: string;
}): { readonly answer: WhyNeuron; readonly remedies: readonly string[] } {
  const { base, words, explanation, neuron } = parts;
  const verdict = explanation.verdicts.find((candidate) => candidate.neuron === neuron);
  // The pin was put here for the question; everything else is as it is.
  const found = (verdict?.checks ?? []).filter(({ check }) => check !== "pinned_on");
  const pin = base.checks.filter(({ check }) => check === "pinned_on");
  const failing = found.filter(({ ok }) => !ok).map(({ detail }) => detail);
  const reasons = failing.length > 0 ? failing : [summaryOf(explanation)];
  const detail = [...(words === "" ? [] : [words]), ...reasons].join("; ");
  return {
    answer: { ...base, checks: [...pin, ...found], verdict: "cannot", detail },
    remedies: explanation.remedies
      .filter(({ kind }) => kind !== "pinned_on" && kind !== "replicas")
      .map((remedy) => adviceText(remedy, explanation)),
  };
}
