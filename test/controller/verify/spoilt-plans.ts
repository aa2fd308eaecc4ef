import { snapshotOfFleet } from "../../../src/controller/observe/fleet-snapshots.ts";
import { planFleet } from "../../../src/controller/plan/plan-fleet.ts";
import { canonicalDigest } from "../../../src/core/canonical-digest.ts";
import type { FleetSnapshot } from "../../../src/protocol/fleet-snapshot.ts";
import {
  planDocumentSchema,
  type PlanChange,
  type PlanDocument,
} from "../../../src/protocol/plan-document.ts";
import { CANONICAL_CASES, canonicalFiles, canonicalFleet, canonicalObservation } from "../canonical-fleet.ts";
import {
  fleetFromToml,
  observedFleet,
  observedNeuron,
  plan,
  residentModel,
} from "../observed-fleet-builders.ts";

export interface GoodPlan {
  readonly plan: PlanDocument;
  readonly snapshot: FleetSnapshot;
}

export function canonical(name: string): GoodPlan {
  const situation = CANONICAL_CASES[name];
  if (situation === undefined) throw new Error(name);
  const fleet = canonicalFleet(canonicalFiles(situation));
  const observed = canonicalObservation(fleet, situation);
  const revision = { commit: null, dirty: false, path: "." };
  const document = planFleet({ fleet, fleetDigest: "f".repeat(64), revision, observed });
  return { plan: document, snapshot: snapshotOfFleet("home", observed) };
}

/** Two protected replicas with new settings, and a stray: replacements one after the other. */
export function replaced(): GoodPlan {
  const fleet = fleetFromToml('[[models]]\nid = "m"\nreplicas = 2\nvram_mb = 4000\nprotect = true\n', [
    "a",
    "b",
  ]);
  const residents = [residentModel({ id: "m", vramMb: 3000 })];
  const observed = observedFleet(
    observedNeuron("a", {
      devices: [8000],
      residents: [...residents, residentModel({ id: "stray", vramMb: 5000 })],
    }),
    observedNeuron("b", { devices: [8000], residents }),
  );
  return { plan: plan(fleet, observed), snapshot: snapshotOfFleet("home", observed) };
}

/** A deep copy that may be spoilt, with a digest that fits it: only the check in question can notice. */
export function spoil(plan: PlanDocument, change: (plan: PlanDocument) => void): PlanDocument {
  const copy = planDocumentSchema.parse(JSON.parse(JSON.stringify(plan)));
  change(copy);
  const { digest: _old, ...rest } = copy;
  return { ...copy, digest: canonicalDigest(rest) };
}

export function row(plan: PlanDocument, id: string): PlanChange {
  const found = plan.changes.find((change) => change.id === id);
  if (found === undefined)
    throw new Error(`${id} is not among ${plan.changes.map((change) => change.id).join(", ")}`);
  return found;
}

export const neuron = (plan: PlanDocument, name: string): PlanDocument["neurons"][number] => {
  const found = plan.neurons.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(name);
  return found;
};

const WRITER_LEAVES = "unload acme/writer@benjy";
const CODER_COMES = "load acme/coder@benjy";
const WRITER_COMES = "load acme/writer@beast";

/** The check that must notice, what is wrong, the plan it is done to, and how. */
export type Mutation = readonly [string, string, GoodPlan, (plan: PlanDocument) => void];

/** Each way to spoil a plan, and the check that must notice. */
export const MUTATIONS: readonly Mutation[] = [
  [
    "capacity",
    "a load takes more than there is",
    canonical("drained"),
    (plan) => {
      const change = row(plan, "load Qwen/Qwen3-8B@beast");
      change.device_vram_mb = [20_000];
      change.vram_after_mb = 20_000;
    },
  ],
  [
    "capacity",
    "a load comes before the memory is free",
    canonical("swap-cycle"),
    (plan) => {
      const [first, second] = [row(plan, WRITER_LEAVES), row(plan, CODER_COMES)];
      second.depends_on = [];
      first.wave = second.wave + 1;
      plan.changes = plan.changes.map((change) =>
        change === first ? second : change === second ? first : change,
      );
    },
  ],
  [
    "capacity",
    "a load does not wait for what frees its memory",
    canonical("swap-cycle"),
    (plan) => {
      row(plan, WRITER_COMES).depends_on = [];
    },
  ],
  [
    "capacity",
    "a device is said to be larger than it is",
    canonical("empty"),
    (plan) => {
      for (const device of neuron(plan, "quadbrat").devices) device.vram_total_mb = 4_000;
    },
  ],
  [
    "memory_figures",
    "a peak is kept quiet",
    canonical("swap-parked"),
    (plan) => {
      for (const device of neuron(plan, "quadbrat").devices) device.vram_peak_mb = device.vram_after_mb;
    },
  ],
  [
    "memory_figures",
    "an unload frees more than the model holds",
    canonical("drained"),
    (plan) => {
      row(plan, "unload Qwen/Qwen3-8B@quadbrat").device_vram_mb = [12_000];
    },
  ],
  [
    "snapshot",
    "the plan saw another generation",
    canonical("drained"),
    (plan) => {
      neuron(plan, "benjy").generation = 1;
    },
  ],
  [
    "snapshot",
    "the plan saw a model that was not there",
    canonical("drained"),
    (plan) => {
      neuron(plan, "benjy").models.push({
        model_id: "ghost",
        spec_hash: "0",
        status: "loaded",
        origin: "revision",
        fleet: null,
        devices: [0],
        device_vram_mb: [1],
      });
    },
  ],
  [
    "snapshot",
    "the plan was made from another snapshot",
    canonical("drained"),
    (plan) => {
      plan.observation.digest = "0".repeat(64);
    },
  ],
  [
    "memory_figures",
    "less is in use than was observed",
    canonical("drained"),
    (plan) => {
      for (const device of neuron(plan, "beast").devices) {
        device.vram_before_mb -= 300;
        device.vram_peak_mb -= 300;
        device.vram_after_mb -= 300;
      }
    },
  ],
  [
    "one_copy",
    "a neuron is given a second copy",
    canonical("drained"),
    (plan) => {
      const change = row(plan, "load nomic/embed-text@benjy");
      change.neuron = "beast";
      change.id = "load nomic/embed-text@beast";
      row(plan, "unload nomic/embed-text@quadbrat").depends_on = [change.id];
    },
  ],
  [
    "one_copy",
    "a copy is taken down that is not there",
    canonical("drained"),
    (plan) => {
      const change = row(plan, "unload nomic/embed-text@quadbrat");
      change.neuron = "benjy";
      change.id = "unload nomic/embed-text@benjy";
      plan.changes = [change, ...plan.changes.filter((other) => other !== change)];
      change.depends_on = [];
    },
  ],
  [
    "untouchable",
    "a neuron is touched that did not answer",
    canonical("lost-neuron"),
    (plan) => {
      const change = row(plan, "load Qwen/Qwen3-8B@beast");
      change.neuron = "benjy";
      change.id = "load Qwen/Qwen3-8B@benjy";
    },
  ],
  [
    "placement_rules",
    "a pin is broken",
    canonical("swap-cycle"),
    (plan) => {
      for (const model of plan.declared) if (model.model_id === "acme/coder") model.pinned_on = ["quadbrat"];
    },
  ],
  [
    "placement_rules",
    "a drained neuron is given work",
    canonical("empty"),
    (plan) => {
      neuron(plan, "benjy").drain = true;
    },
  ],
  [
    "placement_rules",
    "a device is below the floor",
    canonical("empty"),
    (plan) => {
      for (const model of plan.declared) model.min_device_vram_mb = 33_000;
    },
  ],
  [
    "placement_rules",
    "a wide model is put on one device",
    canonical("empty"),
    (plan) => {
      for (const model of plan.declared) model.min_devices = 1;
    },
  ],
  [
    "placement_rules",
    "a model is loaded that nobody declared",
    canonical("empty"),
    (plan) => {
      plan.declared = plan.declared.filter((model) => model.model_id !== "nomic/embed-text");
    },
  ],
  [
    "settings",
    "a model is loaded with other settings",
    canonical("empty"),
    (plan) => {
      const { spec } = row(plan, "load mistralai/Devstral-Small-2507@benjy");
      if (spec !== null) spec.context = 4096;
    },
  ],
  [
    "protect",
    "a protected model is taken down without saying so",
    replaced(),
    (plan) => {
      row(plan, "replace m@a").protected = false;
    },
  ],
  [
    "protect",
    "a copy is called parked that was there before",
    canonical("drained"),
    (plan) => {
      row(plan, "unload Qwen/Qwen3-8B@quadbrat").action_reason = "parking_ended";
    },
  ],
  [
    "accounting",
    "a declared copy is forgotten",
    canonical("empty"),
    (plan) => {
      plan.changes = plan.changes.filter(({ id }) => id !== "load mistralai/Devstral-Small-2507@benjy");
      plan.schedule.critical_path = [];
    },
  ],
  [
    "accounting",
    "one copy too many stays",
    canonical("drained"),
    (plan) => {
      plan.changes = plan.changes.filter(({ id }) => id !== "unload Qwen/Qwen3-8B@quadbrat");
      plan.schedule.critical_path = [];
    },
  ],
  [
    "accounting",
    "an unplaced copy is kept quiet",
    canonical("unplaceable"),
    (plan) => {
      plan.unplaced = [];
      plan.complete = true;
    },
  ],
  [
    "availability",
    "a copy leaves before its successor is ready",
    canonical("drained"),
    (plan) => {
      // Its other copy is said not to serve.
      for (const { models } of plan.neurons)
        for (const model of models) if (model.model_id === "Qwen/Qwen3-8B") model.status = "loading";
      for (const model of neuron(plan, "quadbrat").models) model.status = "loaded";
      row(plan, "unload Qwen/Qwen3-8B@quadbrat").depends_on = [];
    },
  ],
  [
    "availability",
    "two replicas are replaced at the same time",
    replaced(),
    (plan) => {
      row(plan, "replace m@a").depends_on = [];
    },
  ],
  [
    "availability",
    "a downtime is kept quiet",
    canonical("swap-cycle"),
    (plan) => {
      row(plan, WRITER_LEAVES).downtime = null;
    },
  ],
  [
    "order",
    "a step depends on one after it",
    canonical("swap-cycle"),
    (plan) => {
      row(plan, WRITER_LEAVES).depends_on = [WRITER_COMES];
    },
  ],
  [
    "order",
    "waves contradict the order",
    canonical("swap-cycle"),
    (plan) => {
      row(plan, CODER_COMES).wave = 1;
    },
  ],
  [
    "structure",
    "a row is listed twice",
    canonical("empty"),
    (plan) => {
      plan.changes = [...plan.changes, ...plan.changes.slice(0, 1)];
    },
  ],
  [
    "structure",
    "an id says something else",
    canonical("empty"),
    (plan) => {
      for (const change of plan.changes.slice(0, 1)) change.id = "load something@else";
      plan.schedule.critical_path = [];
    },
  ],
  [
    "structure",
    "a row acts otherwise than it says",
    canonical("drained"),
    (plan) => {
      row(plan, "load Qwen/Qwen3-8B@beast").actions = ["unload", "load"];
    },
  ],
  [
    "structure",
    "devices and settings disagree",
    canonical("drained"),
    (plan) => {
      const { spec } = row(plan, "load Qwen/Qwen3-8B@beast");
      if (spec !== null) spec.devices = [0];
    },
  ],
  [
    "flags",
    "an incomplete plan calls itself complete",
    canonical("lost-neuron"),
    (plan) => {
      plan.complete = true;
    },
  ],
  [
    "flags",
    "a plan with problems calls itself applyable",
    canonical("drained"),
    (plan) => {
      plan.problems = ["something"];
    },
  ],
];
