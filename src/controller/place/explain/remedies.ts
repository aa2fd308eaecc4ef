import { eligibleDevices } from "../../observe/device-memory.ts";
import type { Board } from "../board/board.ts";
import { MIB_BYTES } from "../../../core/quantities.ts";
import { leastMib, obtainableByDevice, widestFree } from "../board/obtainable-memory.ts";
import type { Blocker, NeuronVerdict, Remedy } from "../board/placement.ts";
import { silentNeurons } from "../board/silent-neurons.ts";
import { present } from "../../../core/present.ts";
import { at, flagsOf, itemAt, type DeviceNo, type Figures, type NeuronNo } from "../board/numbers.ts";
import { devicesOf, eligibleOn, type ProblemModel, type ProblemNeuron } from "../board/problem.ts";

/*
 * What could let a copy in, in terms of lines of the fleet files, judged one neuron at a time; remedy-trials then plans
 * the fleet with each line changed and drops what does not help. Cheapest first: a setting of the model itself, then
 * where it may go, then what others give up, then wanting less, then buying.
 */

export interface Unplaced {
  readonly model: ProblemModel;
  readonly missing: number;
  readonly verdicts: readonly NeuronVerdict[];
  readonly blockers: readonly Blocker[];
}

export function remediesFor(board: Board, unplaced: Unplaced): Remedy[] {
  const view = { board, obtainable: obtainableByDevice(board, unplaced.model.priority) };
  return [
    ...contextRemedy(view, unplaced.model),
    ...footprintRemedy(view, unplaced.model),
    ...widthRemedy(view, unplaced.model),
    ...floorRemedy(view, unplaced.model),
    ...elsewhereRemedies(view, unplaced),
    ...resumeRemedy(view, unplaced.model),
    ...silentRemedy(board, unplaced.model),
    ...blockerRemedies(board, unplaced),
    ...ownersRemedies(board, unplaced),
    ...foreignRemedy(view, unplaced.model),
    ...replicasRemedy(unplaced),
    ...deviceRemedy(unplaced.model),
  ];
}

/** The board, and what the model's class could have on each device. */
interface View {
  readonly board: Board;
  readonly obtainable: Figures<DeviceNo>;
}

const tomlList = (names: readonly string[]): string => `[${names.map((name) => `"${name}"`).join(", ")}]`;

const line = (id: string, key: string): Remedy["line"] => ({ table: "models", id, key });

interface Nearest {
  readonly neuron: NeuronNo;
  readonly slackMib: number;
}

/** The neuron with most to spare (or least lacking) for a variant of the model. */
function closest({ board, obtainable }: View, model: ProblemModel): Nearest | undefined {
  let best: Nearest | undefined;
  for (const neuron of board.problem.neurons.keys()) {
    if (at(model.open, neuron) === 0 || board.hosts(model, neuron)) continue;
    const free = widestFree(board, { model, neuron }, obtainable);
    if (free === null) continue;
    const slackMib = free - leastMib(model);
    if (best === undefined || slackMib > best.slackMib) best = { neuron, slackMib };
  }
  return best;
}

const nameOf = (board: Board, neuron: NeuronNo): string => itemAt(board.problem.neurons, neuron).name;

/** Tokens of context are given out in steps of this. */
const CONTEXT_STEP = 256;
const SHORTEST_CONTEXT = 1024;

function contextRemedy(view: View, model: ProblemModel): Remedy[] {
  const { context } = model.desired.block;
  const { cacheBytesPerToken } = model.desired.need;
  const best = closest(view, model);
  if (context === undefined || cacheBytesPerToken === undefined || best === undefined) return [];
  const tooMany = Math.ceil((-best.slackMib * MIB_BYTES) / cacheBytesPerToken);
  const fitting = Math.floor((context - tooMany) / CONTEXT_STEP) * CONTEXT_STEP;
  if (fitting < SHORTEST_CONTEXT || fitting >= context) return [];
  return [
    {
      kind: "context",
      line: line(model.id, "context"),
      from: String(context),
      to: String(fitting),
      neuron: nameOf(view.board, best.neuron),
    },
  ];
}

/** A declared footprint may be generous; below this share of it nobody believes that. */
const BELIEVABLE_SHARE = 0.8;

function footprintRemedy(view: View, model: ProblemModel): Remedy[] {
  const best = closest(view, model);
  if (model.desired.need.source !== "declared" || best === undefined) return [];
  const fitting = model.mib + best.slackMib;
  if (fitting < model.mib * BELIEVABLE_SHARE || fitting >= model.mib) return [];
  return [
    {
      kind: "vram_mb",
      line: line(model.id, "vram_mb"),
      from: String(model.mib),
      to: String(fitting),
      neuron: nameOf(view.board, best.neuron),
    },
  ];
}

const WIDEST = 8;

function widthRemedy(view: View, model: ProblemModel): Remedy[] {
  const { board } = view;
  const widths = Array.from({ length: WIDEST }, (_, index) => index + 1)
    .filter((width) => width !== model.width)
    .sort((left, right) => Math.abs(left - model.width) - Math.abs(right - model.width));
  for (const width of widths) {
    const variant = { ...model, width, open: openFor(board, { ...model, width }) };
    const best = closest(view, variant);
    if (best === undefined || best.slackMib < 0) continue;
    const [from, to] = [String(model.width), String(width)];
    return [
      {
        kind: "min_devices",
        line: line(model.id, "min_devices"),
        from,
        to,
        neuron: nameOf(board, best.neuron),
      },
    ];
  }
  return [];
}

function floorRemedy(view: View, model: ProblemModel): Remedy[] {
  const { board } = view;
  if (model.floorMib === 0) return [];
  const variant = { ...model, floorMib: 0, open: openFor(board, { ...model, floorMib: 0 }) };
  const best = closest(view, variant);
  if (best === undefined || best.slackMib < 0) return [];
  const totals = eligibleOn(board.problem, { model: variant, neuron: best.neuron }).map(
    (device) => itemAt(board.problem.devices, device).totalMib,
  );
  const floor = present(totals.sort((left, right) => right - left)[model.width - 1], "the narrowest device");
  return [
    {
      kind: "min_device_vram_mb",
      line: line(model.id, "min_device_vram_mb"),
      from: String(model.floorMib),
      to: String(Math.min(floor, model.floorMib)),
      neuron: nameOf(board, best.neuron),
    },
  ];
}

/** Neurons that the pins or a drain keep from holding it. */
function elsewhereRemedies(view: View, { model }: Unplaced): Remedy[] {
  const { board } = view;
  const { pinned_on: pins } = model.desired.block;
  const found: Remedy[] = [];
  if (pins.length > 0) {
    const open = openFor(board, model, { ignorePins: true });
    const best = closest(view, { ...model, open });
    if (best !== undefined && best.slackMib >= 0 && at(model.open, best.neuron) === 0) {
      const neuron = nameOf(board, best.neuron);
      const [from, to] = [tomlList(pins), tomlList([...pins, neuron])];
      found.push({ kind: "pinned_on", line: line(model.id, "pinned_on"), from, to, neuron });
    }
  }
  const open = openFor(board, model, { ignoreDrain: true });
  const drained = closest(view, { ...model, open });
  if (drained !== undefined && drained.slackMib >= 0 && at(model.open, drained.neuron) === 0) {
    const neuron = nameOf(board, drained.neuron);
    const where: Remedy["line"] = { table: "neurons", id: neuron, key: "drain" };
    found.push({ kind: "drain", line: where, from: "true", to: "false", neuron });
  }
  return found;
}

/** A neuron that takes no new work until somebody resumes it; a copy with old settings may wait there for the new ones. */
function resumeRemedy(view: View, model: ProblemModel): Remedy[] {
  const { board } = view;
  const open = openFor(board, model, { ignoreDraining: true });
  const reopens = (neuron: NeuronNo): boolean => at(open, neuron) === 1 && at(model.open, neuron) === 0;
  const outdated = model.applicants
    .filter((applicant) => at(board.untouched, applicant) === 1)
    .map((applicant) => itemAt(board.problem.applicants, applicant).home)
    .find((home) => home?.current === false && reopens(home.place.neuron));
  const best = closest(view, { ...model, open });
  const found =
    outdated?.place.neuron ?? (best !== undefined && best.slackMib >= 0 ? best.neuron : undefined);
  if (found === undefined || !reopens(found)) return [];
  const neuron = nameOf(board, found);
  return [{ kind: "resume", line: null, from: null, to: neuron, neuron }];
}

interface Leniency {
  readonly ignorePins?: boolean;
  readonly ignoreDrain?: boolean;
  readonly ignoreDraining?: boolean;
}

function openFor(
  board: Board,
  model: Pick<ProblemModel, "desired" | "width" | "floorMib">,
  leniency: Leniency = {},
): ProblemModel["open"] {
  return flagsOf(board.problem.neurons, (neuron) => isOpen(model, neuron, leniency));
}

function isOpen(
  { desired, width, floorMib }: Pick<ProblemModel, "desired" | "width" | "floorMib">,
  { block, observed }: ProblemNeuron,
  { ignorePins = false, ignoreDrain = false, ignoreDraining = false }: Leniency,
): boolean {
  const { pinned_on: pins, harness } = desired.block;
  const isAllowed = ignorePins || pins.length === 0 || pins.includes(block.name);
  const takesWork = ignoreDraining || observed.health.status !== "draining";
  const isInService = (ignoreDrain || !block.drain) && takesWork;
  const eligible = eligibleDevices(observed, { minDevices: width, minDeviceMib: floorMib });
  return (
    isAllowed && isInService && eligible.length >= width && observed.discovery.harnesses.includes(harness)
  );
}

function silentRemedy(board: Board, model: ProblemModel): Remedy[] {
  const [neuron] = silentNeurons(board.problem.input, model.desired);
  if (neuron === undefined) return [];
  return [{ kind: "neuron_back", line: null, from: null, to: neuron, neuron }];
}

function blockerRemedies(board: Board, { model, blockers }: Unplaced): Remedy[] {
  if (blockers.length === 0) return [];
  const found: Remedy[] = [];
  const neuron = blockers[0]?.neuron ?? null;
  const ranked = blockers.every(({ because }) => because === "same_class" || because === "higher_class");
  if (ranked) {
    const highest = Math.max(...blockers.map(({ priority }) => priority));
    found.push({
      kind: "residency_priority",
      line: line(model.id, "residency_priority"),
      from: String(model.priority),
      to: String(highest + 1),
      neuron,
    });
  }
  const blocks = new Map(board.problem.input.fleet.models.map((block) => [block.id, block]));
  const [only] = blockers;
  const replicas = only === undefined ? 0 : (blocks.get(only.modelId)?.replicas ?? 0);
  if (blockers.length === 1 && only !== undefined && replicas > 0 && only.because !== "protected") {
    found.push({
      kind: "other_replicas",
      line: line(only.modelId, "replicas"),
      from: String(replicas),
      to: String(replicas - 1),
      neuron,
    });
  }
  return found;
}

/** What only its owner may take down: the protection of a block ends with a line, what was loaded by hand by hand. */
function ownersRemedies(board: Board, { blockers }: Unplaced): Remedy[] {
  const declared = new Set(board.problem.input.fleet.models.map(({ id }) => id));
  return blockers.flatMap(({ because, modelId, neuron }): Remedy[] => {
    if (because === "loaded_by_hand")
      return [{ kind: "unload", line: null, from: null, to: modelId, neuron }];
    if (because !== "protected" || !declared.has(modelId)) return [];
    return [{ kind: "protect", line: line(modelId, "protect"), from: "true", to: "false", neuron }];
  });
}

/** The neuron where least is lacking of those on which other processes hold as much as that. */
function foreignRemedy({ board, obtainable }: View, model: ProblemModel): Remedy[] {
  let best: { readonly neuron: NeuronNo; readonly lackMib: number; readonly foreignMib: number } | undefined;
  for (const neuron of board.problem.neurons.keys()) {
    if (at(model.open, neuron) === 0 || board.hosts(model, neuron)) continue;
    const free = widestFree(board, { model, neuron }, obtainable);
    if (free === null) continue;
    const lackMib = leastMib(model) - free;
    const foreignMib = devicesOf(board.problem, neuron).reduce(
      (total, device) => total + itemAt(board.problem.devices, device).foreignMib,
      0,
    );
    if (lackMib <= 0 || foreignMib < lackMib) continue;
    if (best === undefined || lackMib < best.lackMib) best = { neuron, lackMib, foreignMib };
  }
  if (best === undefined) return [];
  const neuron = nameOf(board, best.neuron);
  return [{ kind: "foreign_memory", line: null, from: String(best.foreignMib), to: "0", neuron }];
}

function replicasRemedy({ model, missing }: Unplaced): Remedy[] {
  if (missing <= 0) return [];
  const { replicas } = model.desired.block;
  const [from, to] = [String(replicas), String(replicas - missing)];
  return [{ kind: "replicas", line: line(model.id, "replicas"), from, to, neuron: null }];
}

function deviceRemedy(model: ProblemModel): Remedy[] {
  if (!model.sizeKnown) return [];
  const each = Math.max(model.floorMib, Math.ceil(model.mib / model.width));
  const { pinned_on: pins } = model.desired.block;
  const where = pins.length > 0 ? ` to ${pins.join(" or ")}` : model.width === 1 ? "" : " to one neuron";
  const what =
    model.width === 1
      ? `a device with ${each} MB free${where}`
      : `${model.width} devices with ${each} MB free each${where}`;
  return [{ kind: "device", line: null, from: null, to: what, neuron: null }];
}
