import { canonical, type Mutation, neuron, row } from "./spoilt-plans.ts";

const WRITER_LEAVES = "unload acme/writer@benjy";
const WRITER_COMES = "load acme/writer@beast";

/** Plans that would do no harm, and say what is not so: figures that follow from others, and what was seen. */
export const FIGURE_MUTATIONS: readonly Mutation[] = [
  [
    "memory_figures",
    "a model on two devices is split as it suits the plan",
    canonical("empty"),
    (plan) => {
      const id = "Qwen/Qwen3.6-27B";
      const shifts = [-500, 500];
      const shifted = (amounts: readonly number[]): number[] =>
        amounts.map((mb, position) => mb + (shifts[position] ?? 0));
      const change = row(plan, `load ${id}@beast`);
      change.device_vram_mb = shifted(change.device_vram_mb);
      for (const assignment of plan.assignments)
        if (assignment.model_id === id) assignment.device_vram_mb = shifted(assignment.device_vram_mb);
      for (const [position, device] of neuron(plan, "beast").devices.entries()) {
        device.vram_peak_mb += shifts[position] ?? 0;
        device.vram_after_mb += shifts[position] ?? 0;
      }
    },
  ],
  [
    "memory_figures",
    "a row says that its copy held less before than it did",
    canonical("drained"),
    (plan) => {
      row(plan, "unload Qwen/Qwen3-8B@quadbrat").vram_before_mb = 10;
    },
  ],
  [
    "structure",
    "a load says that it held memory before",
    canonical("drained"),
    (plan) => {
      row(plan, "load Qwen/Qwen3-8B@beast").vram_before_mb = 10;
    },
  ],
  [
    "structure",
    "an unload says that it holds memory after",
    canonical("drained"),
    (plan) => {
      row(plan, "unload Qwen/Qwen3-8B@quadbrat").vram_after_mb = 10;
    },
  ],
  [
    "accounting",
    "the count of what is unchanged lies",
    canonical("drained"),
    (plan) => {
      plan.unchanged += 1;
    },
  ],
  [
    "accounting",
    "a mass unload is kept quiet",
    canonical("class-conflict"),
    (plan) => {
      plan.unload_guard.copies_lost = 0;
      plan.unload_guard.percent = 0;
    },
  ],
  [
    "accounting",
    "a copy is kept and changed at once",
    canonical("drained"),
    (plan) => {
      for (const assignment of plan.assignments)
        if (assignment.neuron === "beast" && assignment.model_id === "Qwen/Qwen3-8B")
          assignment.status = "kept";
      plan.unchanged += 1;
    },
  ],
  [
    "accounting",
    "a placed copy is said to be missing",
    canonical("unplaceable"),
    (plan) => {
      for (const copy of plan.unplaced) copy.missing_replicas = 2;
    },
  ],
  [
    "accounting",
    "an assignment names a device that the copy is not on",
    canonical("drained"),
    (plan) => {
      for (const assignment of plan.assignments)
        if (assignment.neuron === "beast" && assignment.model_id === "Qwen/Qwen3-8B")
          assignment.devices = [0];
    },
  ],
  [
    "accounting",
    "a copy is said to be unknown on a neuron that answered",
    canonical("lost-neuron"),
    (plan) => {
      for (const copy of plan.unknown) copy.neurons = ["quadbrat"];
    },
  ],
  [
    "accounting",
    "more copies are unknown than neurons are silent",
    canonical("lost-neuron"),
    (plan) => {
      for (const copy of plan.unknown) copy.replicas = 2;
    },
  ],
  [
    "untouchable",
    "a copy is taken down that is said to be left alone",
    canonical("drained"),
    (plan) => {
      plan.left_alone = [
        {
          model_id: "Qwen/Qwen3-8B",
          neuron: "quadbrat",
          because: "loaded_by_hand",
          fleet: null,
          reason: "trust me",
        },
      ];
    },
  ],
  [
    "snapshot",
    "what apply compares the neuron with is made up",
    canonical("drained"),
    (plan) => {
      neuron(plan, "quadbrat").observation_digest = "0".repeat(64);
    },
  ],
  [
    "snapshot",
    "a copy that was loaded by hand is said to be cortex's",
    canonical("drained"),
    (plan) => {
      for (const model of neuron(plan, "quadbrat").models) model.origin = "request";
    },
  ],
  [
    "snapshot",
    "requests in flight are kept quiet",
    canonical("drained"),
    (plan) => {
      row(plan, "unload Qwen/Qwen3-8B@quadbrat").requests = { in_flight: 0, queued: 0, per_minute: 0 };
    },
  ],
  [
    "snapshot",
    "a disk is said to have more room",
    canonical("drained"),
    (plan) => {
      neuron(plan, "beast").disk_free_bytes = 10 ** 15;
    },
  ],
  [
    "availability",
    "a downtime that does not end is said to end",
    canonical("class-conflict"),
    (plan) => {
      row(plan, "unload mistralai/Devstral-Small-2507@benjy").downtime = {
        secs: 5,
        ends: true,
        reason: "short",
      };
    },
  ],
  [
    "availability",
    "a downtime that does not end is given a length",
    canonical("class-conflict"),
    (plan) => {
      row(plan, "unload mistralai/Devstral-Small-2507@benjy").downtime = {
        secs: 5,
        ends: false,
        reason: "short",
      };
    },
  ],
  [
    "schedule",
    "the waves are miscounted",
    canonical("swap-cycle"),
    (plan) => {
      plan.schedule.waves = 1;
    },
  ],
  [
    "schedule",
    "the predicted time is less than any way takes",
    canonical("swap-cycle"),
    (plan) => {
      plan.schedule.predicted_secs = 1;
      plan.schedule.critical_path = [WRITER_LEAVES];
    },
  ],
  [
    "schedule",
    "the critical path does not add up to the predicted time",
    canonical("swap-cycle"),
    (plan) => {
      plan.schedule.predicted_secs = 500;
    },
  ],
  [
    "schedule",
    "the critical path names a step that is none",
    canonical("swap-cycle"),
    (plan) => {
      plan.schedule.critical_path.push("load ghost@beast");
    },
  ],
  [
    "schedule",
    "a step of unknown length is kept quiet",
    canonical("swap-cycle"),
    (plan) => {
      row(plan, WRITER_COMES).duration = { secs: null, source: "unknown", confidence: "none" };
    },
  ],
];
