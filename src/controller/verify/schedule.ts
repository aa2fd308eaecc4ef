import type { PlanChange, PlanDocument } from "../../protocol/plan-document.ts";
import { Findings } from "./findings.ts";

/** Durations are told to a tenth of a second. */
const ROUNDING_SECS = 0.1;

/** The figures of the schedule follow from its rows: waves, unknown durations, the critical path and what it adds up to. */
export function verifySchedule(plan: PlanDocument): Findings {
  const found = new Findings();
  const { schedule, changes } = plan;
  const expect = (holds: boolean, message: string): void => {
    found.expect(holds, "schedule", { where: "document", message });
  };
  const waves = Math.max(0, ...changes.map(({ wave }) => wave));
  expect(schedule.waves === waves, `says ${schedule.waves} waves, and its rows make ${waves}`);
  verifyWaves(found, changes);
  const unknown = changes.filter(({ duration }) => duration.secs === null).length;
  expect(
    schedule.unpredicted_steps === unknown,
    `says ${schedule.unpredicted_steps} steps of unknown length, and there are ${unknown}`,
  );
  const rows = new Map(changes.map((change) => [change.id, change]));
  for (const id of schedule.critical_path)
    expect(rows.has(id), `has ${id} on its critical path, which is no row`);
  const path = schedule.critical_path.flatMap((id) => rows.get(id) ?? []);
  const least = CONFIDENCE[Math.min(...path.map(({ duration }) => CONFIDENCE.indexOf(duration.confidence)))];
  expect(
    schedule.confidence === (least ?? "high"),
    `is ${schedule.confidence} in confidence, and its critical path ${least ?? "high"}`,
  );
  const tolerance = ROUNDING_SECS * (changes.length + 1);
  const predicted = schedule.predicted_secs;
  if (predicted === null) {
    expect(unknown === changes.length, "says that nothing can be predicted although rows are");
    return found;
  }
  const onPath = path.reduce((total, { duration }) => total + (duration.secs ?? 0), 0);
  expect(
    Math.abs(onPath - predicted) <= tolerance,
    `predicts ${predicted} s, and its critical path takes ${onPath} s`,
  );
  const shortest = longestChain(changes);
  expect(
    shortest <= predicted + tolerance,
    `predicts ${predicted} s, and no way takes less than ${shortest} s`,
  );
  for (const { id, downtime } of changes)
    found.expect((downtime?.secs ?? 0) <= predicted + tolerance, "schedule", {
      where: id,
      message: "is down for longer than the whole plan takes",
    });
  return found;
}

const CONFIDENCE = ["none", "low", "medium", "high"] as const;

/** A row is one wave after the last of those that it waits for, the row before it on its neuron among them. */
function verifyWaves(found: Findings, changes: readonly PlanChange[]): void {
  const waves = new Map(changes.map(({ id, wave }) => [id, wave]));
  const lanes = new Map<string, number>();
  for (const { id, neuron, wave, depends_on } of changes) {
    const before = depends_on.map((earlier) => waves.get(earlier) ?? 0);
    const expected = 1 + Math.max(0, lanes.get(neuron) ?? 0, ...before);
    const message = `is in wave ${wave}, and what it waits for puts it into wave ${expected}`;
    found.expect(wave === expected, "schedule", { where: id, message });
    lanes.set(neuron, wave);
  }
}

/** With as many hands as one likes: each row after what it waits for and after the last row of its neuron. */
function longestChain(changes: readonly PlanChange[]): number {
  const ends = new Map<string, number>();
  const lanes = new Map<string, number>();
  for (const change of changes) {
    const before = change.depends_on.map((id) => ends.get(id) ?? 0);
    const end = Math.max(lanes.get(change.neuron) ?? 0, ...before) + (change.duration.secs ?? 0);
    ends.set(change.id, end);
    lanes.set(change.neuron, end);
  }
  return Math.max(0, ...ends.values());
}
