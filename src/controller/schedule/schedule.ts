import { sharesTotal } from "../observe/device-memory.ts";
import { copyKey } from "../observe/observed-fleet.ts";
import { earliestStart, type Timeline } from "./forecast.ts";
import {
  byId,
  endsParking,
  isLoad,
  isReplace,
  isSpread,
  isUnload,
  needsSuccessor,
  sameModel,
  sameNeuron,
  takesDown,
  type Draft,
  type FreeMemory,
  type ParkingOption,
  type ScheduledStep,
  type TransitionSchedule,
} from "./draft.ts";
import { TransitionMemory } from "./memory.ts";
import { FirstOfMany } from "./first-of-many.ts";
import { PendingChanges } from "./pending.ts";
import { chooseRelief, type Relief } from "./rings.ts";

/*
 * The order in which changes are carried out. Two wishes pull in opposite directions: a copy should leave only once
 * its successor is ready (make before break), and a load may need the memory of what leaves first (break before
 * make). Memory is physics, so it wins.
 *
 * The scheduler plays the transition on paper. Again and again it asks every change that is left whether it could start
 * now: a load when every device has the memory, a departure when a copy that takes over is ready, a replacement when
 * the new size fits beside everything else and no other copy of the model is being replaced. Of those that can, the one that
 * could start earliest goes first, and a copy that leaves without a successor goes last. Since each was admitted against the memory that all earlier ones leave, no device
 * is over its memory after any step; since each waits for the very steps that free its memory, that holds even when
 * others fail or are set aside.
 *
 * When nothing can start, the changes that are left wait for each other in rings: two models that change places on
 * full devices. Relief comes in this order: park a copy on a third device that its block allows; else take down
 * before its successor is ready the copy of the lowest class that is used least; else leave the rest of the changes to another plan.
 */
export interface TransitionInput {
  readonly drafts: readonly Draft[];
  readonly free: FreeMemory;
  readonly parking: ReadonlyMap<string, ParkingOption>;
  /** Models and neurons that hold a copy now: no second one may be parked there. */
  readonly present: ReadonlySet<string>;
}

export const scheduleTransition = (input: TransitionInput): TransitionSchedule => new Scheduler(input).run();

class Scheduler {
  readonly #input: TransitionInput;
  readonly #memory: TransitionMemory;
  readonly #pending: PendingChanges;
  readonly #steps: ScheduledStep[] = [];
  readonly #stepsOfModel = new Map<string, ScheduledStep[]>();
  readonly #timeline: Timeline = { laneEnd: new Map(), stepEnd: new Map() };
  /** `model@neuron` of every copy that is taken down to come back or to leave. */
  readonly #leaving: Set<string>;
  /** Departures that may go without a successor, and why. */
  readonly #interruptions = new Map<string, string>();
  /** Arrivals that a departure relies on already. */
  readonly #relied = new Set<string>();
  readonly #parked = new Set<string>();
  /** The change of each neuron that could start first; none where none can. */
  readonly #best = new FirstOfMany<string, Candidate>((left, right) => this.#byPrecedence(left, right));
  /** Where a change comes among those that nothing keeps; unknown for what relief adds. */
  readonly #ranks: ReadonlyMap<Draft, number>;
  /** Neurons whose candidate must be looked for again. */
  readonly #stale: Set<string>;

  constructor(input: TransitionInput) {
    this.#input = input;
    this.#memory = new TransitionMemory(input.free);
    this.#pending = new PendingChanges(input.drafts);
    this.#leaving = new Set(input.drafts.filter(isUnload).map(placeOf));
    this.#stale = new Set(this.#pending.neurons());
    this.#ranks = new Map(input.drafts.toSorted(byRank).map((draft, rank) => [draft, rank]));
  }

  run(): TransitionSchedule {
    while (this.#pending.size > 0) {
      const next = this.#next() ?? this.#nextWithoutWishes();
      if (next !== undefined) {
        this.#emit(next);
        continue;
      }
      const relief = this.#relief();
      if (relief.kind === "defer") {
        const { reason } = relief;
        const deferred = this.#pending.all().map((draft) => ({ draft, reason }));
        return { steps: this.#steps, deferred };
      }
      this.#apply(relief);
    }
    return { steps: this.#steps, deferred: [] };
  }

  #next(): Candidate | undefined {
    for (const neuron of this.#stale) this.#best.set(neuron, this.#bestOn(neuron, "strict"));
    this.#stale.clear();
    return this.#best.first();
  }

  /** Replacements that would rather wait for a new copy elsewhere, which itself waits for them. */
  #nextWithoutWishes(): Candidate | undefined {
    return [...this.#pending.neurons()]
      .flatMap((neuron) => this.#bestOn(neuron, "lenient") ?? [])
      .sort((left, right) => this.#byPrecedence(left, right))[0];
  }

  /**
   * Of a neuron's changes that could start, the first. To judge one costs much, so those are not judged that could not
   * come first even if nothing kept them: where an empty fleet is filled, that is nearly all.
   */
  #bestOn(neuron: string, mode: Mode): Candidate | undefined {
    const freeSecs = this.#timeline.laneEnd.get(neuron) ?? 0;
    let best: Candidate | undefined;
    for (const draft of this.#pending.onNeuron(neuron)) {
      if (best !== undefined && startsAt(best, freeSecs) && this.#byRank(draft, best.draft) > 0) continue;
      const candidate = this.#candidate(draft, mode);
      if (candidate !== undefined && (best === undefined || this.#byPrecedence(candidate, best) < 0))
        best = candidate;
    }
    return best;
  }

  #byPrecedence(left: Candidate, right: Candidate): number {
    return (
      Number(left.isHasty) - Number(right.isHasty) ||
      Number(left.isReluctant) - Number(right.isReluctant) ||
      left.startSecs - right.startSecs ||
      this.#byRank(left.draft, right.draft)
    );
  }

  #byRank(left: Draft, right: Draft): number {
    const [mine, its] = [this.#ranks.get(left), this.#ranks.get(right)];
    return mine === undefined || its === undefined ? byRank(left, right) : mine - its;
  }

  #candidate(draft: Draft, mode: Mode): Candidate | undefined {
    const isHasty = this.#isHasty(draft);
    const dependsOn = isHasty && mode === "strict" ? undefined : this.#readiness(draft, mode);
    if (dependsOn === undefined) return undefined;
    const startSecs = earliestStart(this.#timeline, draft, dependsOn);
    const isReluctant = needsSuccessor(draft) && dependsOn.length === 0;
    return { draft, dependsOn, isHasty, startSecs, isReluctant };
  }

  #emit({ draft: wanted, dependsOn, startSecs }: Candidate): void {
    const draft = this.#memory.splitNow(wanted);
    const { id, neuron, modelId, duration } = draft.change;
    const awaitsSuccessor = this.#awaitsSuccessor(wanted);
    this.#pending.remove(wanted);
    const endSecs = startSecs + (duration.secs ?? 0);
    this.#timeline.laneEnd.set(neuron, endSecs);
    this.#timeline.stepEnd.set(id, endSecs);
    if (awaitsSuccessor) for (const arrival of dependsOn) this.#relied.add(arrival);
    this.#memory.carryOut(draft);
    const interruption = this.#interruptions.get(id);
    const step = { draft, dependsOn: [...new Set(dependsOn)].toSorted(), interruption };
    this.#steps.push(step);
    const ofModel = this.#stepsOfModel.get(modelId);
    if (ofModel === undefined) this.#stepsOfModel.set(modelId, [step]);
    else ofModel.push(step);
    this.#touch(draft);
  }

  /** What concerns the draft's neuron or its model must be judged again. */
  #touch(draft: Draft): void {
    this.#stale.add(draft.change.neuron);
    for (const other of this.#pending.ofModel(draft.change.modelId)) this.#stale.add(other.change.neuron);
  }

  /**
   * Before its rank on devices that a spread model shares: how such a model is split, and so what it leaves to others,
   * follows from what is free when it is loaded. In the order of placement everybody finds the room that was meant.
   */
  #isHasty(draft: Draft): boolean {
    if (draft.takes.size === 0 || !this.#pending.hasSpreadOn(draft.change.neuron)) return false;
    const isWide = isSpread(draft);
    return this.#pending.onNeuron(draft.change.neuron).some((other) => {
      if (other === draft || !(isWide || isSpread(other)) || takesDown(other, draft)) return false;
      const takesEarlier = other.rank < draft.rank && touches(other.takes, draft.takes);
      return takesEarlier || (isWide && isUnload(other) && frees(other, draft.takes.keys()));
    });
  }

  /** What it depends on when it may start now; undefined when it must wait. */
  #readiness(draft: Draft, mode: Mode): string[] | undefined {
    if (isLoad(draft)) return this.#loadReadiness(draft);
    if (this.#isInPlace(draft)) return this.#inPlaceReadiness(draft, mode);
    return this.#departureReadiness(draft, mode);
  }

  #loadReadiness(draft: Draft): string[] | undefined {
    if (this.#lacksRoom(draft)) return undefined;
    const down = this.#stepsFor(draft).filter((step) => takesDown(step.draft, draft));
    return [...down.map((step) => step.draft.change.id), ...this.#neededBy(draft)];
  }

  /**
   * A replacement, or a copy that moves to other devices of its own neuron: one at a time, after any new copy and
   * before a surplus one leaves, so that some copy serves all the while if there are several.
   */
  #inPlaceReadiness(draft: Draft, mode: Mode): string[] | undefined {
    if (isReplace(draft) && this.#lacksRoom(draft)) return undefined;
    const comes = (other: Draft): boolean => isLoad(other) && !sameNeuron(other, draft);
    if (mode === "strict" && this.#pending.ofModel(draft.change.modelId).some(comes)) return undefined;
    return [...this.#earlierElsewhere(draft).map(idOf), ...this.#neededBy(draft)];
  }

  #departureReadiness(draft: Draft, mode: Mode): string[] | undefined {
    if (!this.#awaitsSuccessor(draft)) return this.#surplusReadiness(draft, mode);
    const steps = this.#stepsFor(draft);
    const arrived = steps.find((step) => this.#succeeds(step.draft, draft));
    if (arrived !== undefined) return [idOf(arrived)];
    if (endsParking(draft)) return undefined;
    // More copies leave than come: the surplus has nothing to wait for.
    const others = this.#pending.ofModel(draft.change.modelId);
    const leaving = others.filter((other) => this.#awaitsSuccessor(other));
    const coming = others.filter((other) => this.#succeeds(other, draft));
    return leaving.length > coming.length ? this.#surplusReadiness(draft, mode) : undefined;
  }

  /** Goes without a successor, but not while another copy is being replaced, or is down to come back where it was. */
  #surplusReadiness(draft: Draft, mode: Mode): string[] | undefined {
    const isReplaced = (other: Draft): boolean =>
      other !== draft && !sameNeuron(other, draft) && (this.#isInPlace(other) || this.#comesBack(other));
    if (mode === "strict" && this.#pending.ofModel(draft.change.modelId).some(isReplaced)) return undefined;
    return this.#earlierElsewhere(draft)
      .filter((step) => !isUnload(step.draft))
      .map(idOf);
  }

  #earlierElsewhere(draft: Draft): ScheduledStep[] {
    return this.#stepsFor(draft).filter((step) => !sameNeuron(step.draft, draft));
  }

  #stepsFor(draft: Draft): readonly ScheduledStep[] {
    return this.#stepsOfModel.get(draft.change.modelId) ?? [];
  }

  #succeeds(arrival: Draft, departure: Draft): boolean {
    return (
      isLoad(arrival) &&
      sameModel(arrival, departure) &&
      !sameNeuron(arrival, departure) &&
      !this.#relied.has(arrival.change.id) &&
      !this.#leaving.has(placeOf(arrival))
    );
  }

  #awaitsSuccessor(draft: Draft): boolean {
    return needsSuccessor(draft) && !this.#interruptions.has(draft.change.id) && !this.#isInPlace(draft);
  }

  #isInPlace(draft: Draft): boolean {
    return (
      isReplace(draft) || this.#pending.ofModel(draft.change.modelId).some((load) => takesDown(draft, load))
    );
  }

  /** A load where a copy of the same model leaves: with other devices, or after it was asked to let another one in. */
  #comesBack(draft: Draft): boolean {
    return isLoad(draft) && this.#leaving.has(placeOf(draft));
  }

  #neededBy(draft: Draft): string[] {
    return this.#memory.neededBy(draft);
  }

  #lacksRoom(draft: Draft): boolean {
    return this.#mustLeaveFirst(draft).length > 0 || this.#memory.lacking(draft).length > 0;
  }

  /** Pending steps that have to be over before the draft can be measured against what is free. */
  #mustLeaveFirst(draft: Draft): Draft[] {
    return this.#pending
      .unloadsOn(draft.change.neuron)
      .filter(
        (other) =>
          other !== draft &&
          (takesDown(other, draft) || (!draft.sizeKnown && frees(other, draft.takes.keys()))),
      );
  }

  /** What a change that cannot start waits for. */
  #waits(draft: Draft): Draft[] {
    if (isUnload(draft))
      return this.#pending.ofModel(draft.change.modelId).filter((other) => this.#succeeds(other, draft));
    const lacking = this.#memory.lacking(draft);
    const room = this.#pending
      .onNeuron(draft.change.neuron)
      .filter((other) => other !== draft && frees(other, lacking));
    return [...this.#mustLeaveFirst(draft), ...room];
  }

  #relief(): Relief {
    const pending = this.#pending.all();
    return chooseRelief({
      pending,
      waits: new Map(pending.map((draft) => [draft, this.#waits(draft)])),
      memory: this.#memory,
      parking: this.#input.parking,
      isParked: (modelId) => this.#parked.has(modelId),
      isTaken: (modelId, neuron) => this.#isTaken(modelId, neuron),
    });
  }

  #isTaken(modelId: string, neuron: string): boolean {
    const isThere = ({ draft }: ScheduledStep): boolean => draft.change.neuron === neuron;
    return (
      this.#input.present.has(copyKey(modelId, neuron)) ||
      this.#pending.ofModel(modelId).some(({ change }) => change.neuron === neuron) ||
      (this.#stepsOfModel.get(modelId) ?? []).some(isThere)
    );
  }

  #apply(relief: Exclude<Relief, { readonly kind: "defer" }>): void {
    if (relief.kind === "park") {
      this.#parked.add(relief.load.change.modelId);
      this.#pending.add(relief.load, relief.unload);
      this.#touch(relief.load);
    } else if (relief.kind === "split") {
      this.#pending.remove(relief.replace);
      this.#pending.add(relief.unload, relief.load);
      this.#leaving.add(placeOf(relief.unload));
      this.#interruptions.set(relief.unload.change.id, relief.reason);
      this.#touch(relief.unload);
    } else {
      this.#interruptions.set(relief.departure.change.id, relief.reason);
      this.#touch(relief.departure);
    }
  }
}

/** "strict": replacements wait for new copies of their model elsewhere, and nobody is hasty. "lenient": they do not. */
type Mode = "strict" | "lenient";

interface Candidate {
  readonly draft: Draft;
  readonly dependsOn: readonly string[];
  readonly isHasty: boolean;
  readonly startSecs: number;
  /** A copy that nothing takes over from leaves as late as it can: once all else that waits for nothing has gone. */
  readonly isReluctant: boolean;
}

/** Nothing keeps it: then only one of a higher rank could come before it. */
const startsAt = ({ isHasty, isReluctant, startSecs }: Candidate, freeSecs: number): boolean =>
  !isHasty && !isReluctant && startSecs <= freeSecs;

/** Of those that nothing keeps. */
const byRank = (left: Draft, right: Draft): number =>
  layerOf(left) - layerOf(right) || right.priority - left.priority || byId(left, right);

const idOf = ({ draft }: ScheduledStep): string => draft.change.id;

const placeOf = ({ change }: Draft): string => copyKey(change.modelId, change.neuron);

const frees = (other: Draft, devices: Iterable<number>): boolean =>
  [...devices].some((device) => other.frees.has(device));

const touches = (left: Draft["takes"], right: Draft["takes"]): boolean =>
  [...left.keys()].some((device) => right.has(device));

/** Of what could start at the same moment: loads, then what leaves, then replacements, shrinking before growing. */
function layerOf({ change, frees, takes }: Draft): number {
  if (change.kind === "load") return 0;
  if (change.kind === "unload") return 1;
  return sharesTotal(takes) <= sharesTotal(frees) ? 2 : 3;
}
