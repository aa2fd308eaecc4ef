import { present } from "../../../core/present.ts";
import type { NeuronBlock } from "../../../fleet/schema/fleet-schema.ts";
import type { DesiredModel } from "../../intent/desired-models.ts";
import { spreadableDevices } from "../../../protocol/model-spec.ts";
import { eligibleDevices } from "../../observe/device-memory.ts";
import type { ObservedNeuron, ReachableNeuron } from "../../observe/observed-fleet.ts";
import type { Check, CheckName } from "./placement.ts";

/*
 * What rules a neuron out for a model whatever is loaded there. Placement asks only whether all of them pass; an
 * explanation asks every one of them, whatever the others said, because the first failing check hides the next.
 */

interface Question {
  readonly model: DesiredModel;
  readonly block: NeuronBlock;
  readonly observed: ObservedNeuron | undefined;
}

interface Rule {
  readonly check: CheckName;
  /** Undefined when the neuron's silence leaves the question open. */
  readonly passes: (question: Question) => boolean | undefined;
  readonly detail: (question: Question, ok: boolean) => string;
  readonly slack?: (question: Question) => number | null;
}

const quoted = (names: readonly string[]): string => `[${names.map((name) => `"${name}"`).join(", ")}]`;

const whenAnswering = <Answer>(
  { observed }: Question,
  answer: (neuron: ReachableNeuron) => Answer,
): Answer | undefined => (observed?.reachable === true ? answer(observed) : undefined);

/** The same where the neuron is known to answer, since the rule has passed judgement. */
const answered = <Answer>(
  question: Question,
  answer: (neuron: ReachableNeuron) => Answer,
): NonNullable<Answer> =>
  present(whenAnswering(question, answer), "the answer of neuron", question.block.name);

const RULES: readonly Rule[] = [
  {
    check: "pinned_on",
    passes: ({ model, block }) =>
      model.block.pinned_on.length === 0 || model.block.pinned_on.includes(block.name),
    detail: ({ model }, ok) => {
      const pins = model.block.pinned_on;
      if (pins.length === 0) return "no pins";
      return `${ok ? "" : "not "}in pinned_on = ${quoted(pins)}`;
    },
  },
  {
    check: "drain",
    passes: ({ block }) => !block.drain,
    detail: (_question, ok) => (ok ? "not drained" : "drain = true"),
  },
  {
    check: "reachable",
    passes: ({ observed }) => observed?.reachable === true,
    detail: ({ observed }, ok) => {
      if (ok) return "answers";
      if (observed === undefined || observed.reachable) return "was not observed";
      return `does not answer: ${observed.problem}`;
    },
  },
  {
    check: "accepts_work",
    passes: (question) => whenAnswering(question, ({ health }) => health.status !== "draining"),
    detail: (_question, ok) => (ok ? "takes work" : "is draining: it takes no new work until it is resumed"),
  },
  {
    check: "harness",
    passes: (question) =>
      whenAnswering(question, ({ discovery }) => discovery.harnesses.includes(question.model.block.harness)),
    detail: (question, ok) => {
      const { harness } = question.model.block;
      if (ok) return `offers harness "${harness}"`;
      const offered = answered(question, ({ discovery }) => discovery.harnesses);
      const missing = whenAnswering(question, ({ discovery }) => discovery.engine_unavailable_reason);
      const found = `harness = "${harness}", but it offers ${offered.length === 0 ? "none" : offered.join(", ")}`;
      return missing === undefined ? found : `${found} (${missing})`;
    },
  },
  {
    check: "min_devices",
    passes: (question) => whenAnswering(question, (neuron) => countSlack(question.model, neuron) >= 0),
    slack: (question) => whenAnswering(question, (neuron) => countSlack(question.model, neuron)) ?? null,
    detail: (question) => answered(question, (neuron) => deviceCountText(question.model, neuron)),
  },
  {
    check: "min_device_vram_mb",
    passes: (question) =>
      whenAnswering(question, (neuron) => {
        const { floor } = question.model;
        const wanted = Math.min(
          floor.minDevices,
          spreadableDevices(neuron.discovery.devices, floor.minDevices).length,
        );
        return eligibleDevices(neuron, floor).length >= wanted;
      }),
    slack: (question) => whenAnswering(question, (neuron) => floorSlack(question.model, neuron)) ?? null,
    detail: (question, ok) => answered(question, (neuron) => floorText(question.model, neuron, ok)),
  },
];

/** How many more devices than the model wants can take it. */
const countSlack = ({ floor: { minDevices } }: DesiredModel, neuron: ReachableNeuron): number =>
  spreadableDevices(neuron.discovery.devices, minDevices).length - minDevices;

function deviceCountText(model: DesiredModel, neuron: ReachableNeuron): string {
  const { devices, cuda_unavailable_reason: why } = neuron.discovery;
  const { minDevices } = model.floor;
  const { length: usable } = spreadableDevices(neuron.discovery.devices, minDevices);
  const parts = devices.length - usable;
  const aside = parts === 0 ? "" : ` beside ${parts} parts of cards (MIG), which take a model alone`;
  if (usable >= minDevices) return `min_devices = ${minDevices}, and it has ${usable}${aside}`;
  const found = `min_devices = ${minDevices}, but it has ${usable}${aside}`;
  return why === null ? found : `${found} (${why})`;
}

/** How far the last of the wanted devices is above the floor. */
function floorSlack(model: DesiredModel, neuron: ReachableNeuron): number | null {
  const { minDevices, minDeviceMib } = model.floor;
  const usable = spreadableDevices(neuron.discovery.devices, minDevices);
  const totals = usable.map((device) => device.vram_total_mb).sort((a, b) => b - a);
  const decisive = totals[Math.min(minDevices, totals.length) - 1];
  return decisive === undefined ? null : decisive - minDeviceMib;
}

function floorText(model: DesiredModel, neuron: ReachableNeuron, ok: boolean): string {
  const { minDevices, minDeviceMib } = model.floor;
  if (minDeviceMib === 0) return "no floor";
  const { devices } = neuron.discovery;
  const eligible = eligibleDevices(neuron, model.floor).length;
  if (ok) return `min_device_vram_mb = ${minDeviceMib}, and ${eligible} of its ${devices.length} have that`;
  const largestMb = Math.max(0, ...devices.map((device) => device.vram_total_mb));
  return (
    `min_device_vram_mb = ${minDeviceMib} on ${minDevices} device(s), but ${eligible} of its ` +
    `${devices.length} have that; the largest has ${largestMb} MB`
  );
}

/** The first check that fails; undefined when only memory can decide. */
export function standingFailure(
  model: DesiredModel,
  block: NeuronBlock,
  observed: ObservedNeuron | undefined,
): CheckName | undefined {
  const question = { model, block, observed };
  return RULES.find(({ passes }) => passes(question) === false)?.check;
}

/** All checks that fail, as far as they can be answered. */
export function standingFailures(
  model: DesiredModel,
  block: NeuronBlock,
  observed: ObservedNeuron | undefined,
): CheckName[] {
  const question = { model, block, observed };
  return RULES.filter(({ passes }) => passes(question) === false).map(({ check }) => check);
}

/** Every check that can be answered, in the order in which they weigh. */
export function standingChecks(
  model: DesiredModel,
  block: NeuronBlock,
  observed: ObservedNeuron | undefined,
): Check[] {
  const question = { model, block, observed };
  return RULES.flatMap(({ check, passes, detail, slack }) => {
    const ok = passes(question);
    if (ok === undefined) return [];
    return [{ check, ok, slack: slack?.(question) ?? null, detail: detail(question, ok) }];
  });
}
