import { by, compareText } from "../../../core/order.ts";
import type { NeuronBlock } from "../../../fleet/schema/fleet-schema.ts";
import type { Board } from "../board/board.ts";
import { standingChecks, standingFailures } from "../board/standing-checks.ts";
import {
  capacityMib,
  leastMib,
  obtainableByDevice,
  roomFor,
  widestFree,
  type Holder,
  type MemoryRoom,
} from "../board/obtainable-memory.ts";
import type { Check, CheckName, NeuronVerdict } from "../board/placement.ts";
import { present } from "../../../core/present.ts";
import {
  at,
  itemAt,
  type ApplicantNo,
  type DeviceNo,
  type Figures,
  type NeuronNo,
} from "../board/numbers.ts";
import type { ProblemModel } from "../board/problem.ts";

/** Of a larger fleet only the nearest misses are told in full. */
const VERDICTS_KEPT = 50;

export interface Verdicts {
  /** In the order of the neurons' names. */
  readonly kept: readonly NeuronVerdict[];
  readonly nearest: NeuronVerdict | null;
  /** How many neurons fail each check, over all neurons. */
  readonly failures: Readonly<Partial<Record<CheckName, number>>>;
}

/** Puts every question to every declared neuron. */
export function verdictsOn(board: Board, model: ProblemModel): Verdicts {
  const numbers = new Map(board.problem.neurons.map(({ name }, number) => [name, number]));
  const obtainable = obtainableByDevice(board, model.priority);
  const sketches = board.problem.input.fleet.neurons.map((block) => {
    const subject = { model, block, neuron: numbers.get(block.name) };
    return { subject, ...sketchOf(board, subject, obtainable) };
  });
  const nearestFirst = sketches.sort(
    (left, right) =>
      farness(left.failing) - farness(right.failing) ||
      left.lacking - right.lacking ||
      compareText(left.subject.block.name, right.subject.block.name),
  );
  const verdicts = nearestFirst.slice(0, VERDICTS_KEPT).map(({ subject }) => verdictOn(board, subject));
  return {
    kept: verdicts.toSorted(by(({ neuron }) => neuron)),
    nearest: verdicts[0] ?? null,
    failures: countFailures(sketches.flatMap(({ failing }) => failing)),
  };
}

/** A neuron that has a copy is no place for another one, however well it would fit. */
const farness = (failing: readonly CheckName[]): number =>
  failing.length + (failing.includes("one_copy") ? 100 : 0);

function countFailures(failing: readonly CheckName[]): Partial<Record<CheckName, number>> {
  const counts: Partial<Record<CheckName, number>> = {};
  for (const check of failing.toSorted()) counts[check] = (counts[check] ?? 0) + 1;
  return counts;
}

/** What fails and how much memory is lacking, without a word: enough to tell near from far. */
function sketchOf(board: Board, { model, block, neuron }: Subject, obtainable: Figures<DeviceNo>) {
  const observed = observedOf(board, { block, neuron });
  const failing = standingFailures(model.desired, block, observed);
  if (neuron === undefined) return { failing, lacking: 0 };
  if (board.hosts(model, neuron)) failing.push("one_copy");
  const [capacity, available] = [
    capacityMib(board, { model, neuron }),
    widestFree(board, { model, neuron }, obtainable),
  ];
  if (capacity === null || available === null) return { failing, lacking: 0 };
  const least = leastMib(model);
  if (capacity < least) failing.push("capacity");
  if (available < least) failing.push("memory");
  return { failing, lacking: Math.max(0, least - capacity) + Math.max(0, least - available) };
}

const observedOf = (board: Board, { block, neuron }: Pick<Subject, "block" | "neuron">) =>
  neuron === undefined
    ? board.problem.input.observed.neurons.find(({ name }) => name === block.name)
    : itemAt(board.problem.neurons, neuron).observed;

interface Subject {
  readonly model: ProblemModel;
  readonly block: NeuronBlock;
  /** Undefined when the neuron does not answer. */
  readonly neuron: NeuronNo | undefined;
}

function verdictOn(board: Board, subject: Subject): NeuronVerdict {
  const { model, block, neuron } = subject;
  const observed = observedOf(board, subject);
  const standing = standingChecks(model.desired, block, observed);
  if (neuron === undefined) return { neuron: block.name, checks: standing, shortMib: null };
  // Where a copy with old settings runs, the question is why the new ones do not fit in its place.
  const outdated = model.applicants.find(
    (applicant) => board.places[applicant]?.neuron === neuron && isOutdated(board, applicant),
  );
  const look = () => ({ isTaken: board.hosts(model, neuron), room: roomFor(board, { model, neuron }) });
  const { isTaken, room } = outdated === undefined ? look() : board.without(outdated, look);
  const checks = [
    ...standing,
    copyCheck(isTaken, ownerText(board, model, block)),
    ...memoryChecks(model, room),
  ];
  return { neuron: block.name, checks, shortMib: shortfall(model, { checks, room }) };
}

const isOutdated = (board: Board, applicant: ApplicantNo): boolean =>
  at(board.untouched, applicant) === 1 && itemAt(board.problem.applicants, applicant).home?.current === false;

/** ", loaded by hand,": of a copy that is not the fleet's to replace. */
function ownerText(board: Board, model: ProblemModel, { name }: NeuronBlock): string {
  const copies = board.problem.copiesOf.get(model.id) ?? [];
  const standing = copies.find(({ neuron }) => neuron.name === name)?.standing;
  if (standing?.kind !== "left_alone") return "";
  return standing.fleet === null ? ", loaded by hand," : `, of the fleet ${standing.fleet},`;
}

const copyCheck = (isTaken: boolean, owner: string): Check => ({
  check: "one_copy",
  ok: !isTaken,
  slack: null,
  detail: isTaken ? `already has a copy${owner === "" ? "," : owner} and a neuron holds one` : "has no copy",
});

/** None when too few devices qualify: then there is no memory to speak of. */
function memoryChecks(model: ProblemModel, room: MemoryRoom): Check[] {
  const { availableMib, capacityMib } = room;
  if (availableMib === null || capacityMib === null) return [];
  const least = leastMib(model);
  const on = model.width === 1 ? "one device" : `${model.width} devices`;
  const largest = model.width === 1 ? "the largest has" : `the largest ${model.width} have`;
  const isLarge = least > capacityMib;
  const capacity: Check = {
    check: "capacity",
    ok: !isLarge,
    slack: capacityMib - least,
    detail: isLarge
      ? `needs ${model.mib} MB on ${on}, but ${largest} ${capacityMib} MB when empty`
      : `${largest} ${capacityMib} MB when empty`,
  };
  const need = model.sizeKnown ? `${model.mib} MB` : "some free memory (its size is not known yet)";
  const fits = availableMib >= least;
  const memory: Check = {
    check: "memory",
    ok: fits,
    slack: availableMib - least,
    detail: fits
      ? `needs ${need} on ${on}, and ${availableMib} MB can be had`
      : `needs ${need} on ${on}, but no more than ${availableMib} MB can be had${holdersText(room, model.priority)}`,
  };
  return [capacity, memory];
}

function holdersText({ staying, foreignMib }: MemoryRoom, priority: number): string {
  const tenants = staying.map(
    ({ holder, mib }) => `${holder.modelId} keeps ${mib} MB (${whyItStays(holder, priority)})`,
  );
  if (foreignMib > 0) tenants.push(`other processes keep ${foreignMib} MB`);
  return tenants.length === 0 ? "" : `: ${tenants.join(", ")}`;
}

function whyItStays({ kind, priority: own }: Holder, priority: number): string {
  if (kind === "protected") return "protect = true";
  if (kind === "loaded_by_hand") return "loaded by hand";
  if (kind === "other_fleet") return "of another fleet";
  return own === priority ? "same class" : `class ${own}`;
}

const MEMORY_CHECKS: ReadonlySet<CheckName> = new Set(["capacity", "memory"]);

/** Null unless memory is all that is lacking. */
function shortfall(
  model: ProblemModel,
  { checks, room }: { readonly checks: readonly Check[]; readonly room: MemoryRoom },
): number | null {
  const failing = checks.filter(({ ok }) => !ok);
  if (failing.length === 0 || failing.some(({ check }) => !MEMORY_CHECKS.has(check))) return null;
  const isLarge = failing.some(({ check }) => check === "capacity");
  return leastMib(model) - present(isLarge ? room.capacityMib : room.availableMib, "the memory of a neuron");
}
