import type { Fleet } from "../../src/fleet/schema/fleet-schema.ts";
import { parseFleet } from "../../src/fleet/load-fleet.ts";
import type {
  ObservedFleet,
  ReachableNeuron,
  UnreachableNeuron,
} from "../../src/controller/observe/observed-fleet.ts";
import { planFleet } from "../../src/controller/plan/plan-fleet.ts";
import type { PlanInput } from "../../src/controller/plan/plan-input.ts";
import { fleetAfter, type FleetChange } from "../../src/controller/plan/simulate.ts";
import { modelSpecFromBlock } from "../../src/protocol/model-spec.ts";
import type { LoadOrigin, ModelSpec, ResidentModel } from "../../src/protocol/neuron-api.ts";
import type { PlanChange, PlanDocument } from "../../src/protocol/plan-document.ts";
import { specHash } from "../../src/protocol/spec-hash.ts";

/** A fleet from TOML, with neurons a, b, c, ... added in front. */
export function fleetFromToml(
  models: string,
  neurons: readonly (string | readonly [string, string])[],
): Fleet {
  const blocks = neurons.map((neuron) => {
    const [name, extra] = typeof neuron === "string" ? [neuron, ""] : neuron;
    return `[[neurons]]\nname = "${name}"\nendpoint = "http://${name}:13131"\n${extra}\n`;
  });
  const text = `[fleet]\nname = "home"\n${blocks.join("")}${models}`;
  const result = parseFleet([{ path: "fleet.toml", text }]);
  if (!result.ok) throw new Error(result.error.map(({ message }) => message).join("\n"));
  return result.value.fleet;
}

export interface ResidentFacts {
  readonly id: string;
  readonly vramMb: number;
  readonly devices?: readonly number[];
  readonly origin?: LoadOrigin["kind"];
  readonly status?: ResidentModel["status"];
  readonly specHash?: string;
  readonly lastUsedMs?: number;
  readonly measured?: boolean;
  readonly deviceVramMb?: readonly number[];
  /** That had it loaded; nobody says by default. */
  readonly fleet?: string | undefined;
}

export function residentModel(facts: ResidentFacts): ResidentModel {
  return {
    id: facts.id,
    harness: "llama",
    status: facts.status ?? "loaded",
    spec_hash: facts.specHash ?? "unknown",
    devices: [...(facts.devices ?? [0])],
    vram_used_mb: facts.vramMb,
    vram_measured: facts.measured ?? true,
    ...(facts.deviceVramMb === undefined ? {} : { device_vram_mb: [...facts.deviceVramMb] }),
    capabilities: ["text"],
    limit: null,
    parallel: 4,
    tool_call: false,
    reasoning: false,
    servable: { ok: true },
    origin: {
      kind: facts.origin ?? "revision",
      ref: "0000000",
      ...(facts.fleet === undefined ? {} : { fleet: facts.fleet }),
    },
    last_used_ms: facts.lastUsedMs ?? null,
    loaded_at_ms: 0,
    load_duration_ms: 1,
    pid: 1,
  };
}

export interface NeuronFacts {
  /** Total MiB of each device. */
  readonly devices: readonly number[];
  readonly residents?: readonly ResidentModel[];
  /** MiB held by other processes, per device. */
  readonly foreign?: readonly number[];
  readonly draining?: boolean;
  readonly generation?: number;
}

/** A neuron whose driver reports exactly what its residents and foreign processes hold. */
export function observedNeuron(name: string, facts: NeuronFacts): ReachableNeuron {
  const residents = facts.residents ?? [];
  const used = facts.devices.map((_total, index) => {
    const held = residents
      .filter((model) => model.devices.includes(index))
      .reduce((total, model) => total + Math.floor(model.vram_used_mb / model.devices.length), 0);
    return held + (facts.foreign?.[index] ?? 0);
  });
  return {
    name,
    endpoint: `http://${name}:13131`,
    reachable: true,
    generation: facts.generation ?? 0,
    models: residents,
    discovery: {
      hostname: name,
      os: "linux",
      kernel: "6",
      cpu_cores: 8,
      driver_version: null,
      devices: facts.devices.map((totalMb, index) => ({
        index,
        uuid: `${name}-${index}`,
        kind: "simulated",
        name: `card ${index}`,
        vram_total_mb: totalMb,
        compute_capability: null,
      })),
      harnesses: ["llama"],
      cuda_unavailable_reason: null,
      disk_free_bytes: null,
    },
    health: {
      status: facts.draining === true ? "draining" : "ok",
      uptime_secs: 1,
      devices: facts.devices.map((totalMb, index) => ({
        index,
        vram_used_mb: Math.min(totalMb, used[index] ?? 0),
        vram_free_mb: Math.max(0, totalMb - (used[index] ?? 0)),
        utilization_pct: null,
        temp_c: null,
      })),
      models: [],
    },
  };
}

export const silentNeuron = (name: string, problem = "connection refused"): UnreachableNeuron => ({
  name,
  endpoint: `http://${name}:13131`,
  reachable: false,
  problem,
});

export const observedFleet = (...neurons: ObservedFleet["neurons"]): ObservedFleet => ({
  observedAtMs: 1_000,
  neurons,
});

/** Hash of the spec that a block of this fleet asks for. */
export function declaredHash(fleet: Fleet, id: string): string {
  const block = fleet.models.find((model) => model.id === id);
  if (block === undefined) throw new Error(`no model ${id}`);
  return specHash(modelSpecFromBlock(block));
}

export const plan = (fleet: Fleet, observed: ObservedFleet, more: Partial<PlanInput> = {}): PlanDocument =>
  planFleet({
    ...more,
    fleet,
    observed,
    fleetDigest: "d".repeat(64),
    revision: { commit: "0123456789abcdef0123456789abcdef01234567", dirty: false, path: "." },
  });

/** Without the death of each neuron and trials of remedies, which cost a placement each. */
export const quickPlan = (
  fleet: Fleet,
  observed: ObservedFleet,
  more: Partial<PlanInput> = {},
): PlanDocument => plan(fleet, observed, { ...more, whatIf: "skip" });

export const rowsOf = (document: PlanDocument): string[] =>
  document.changes.map((change) => `${change.id} [${change.action_reason}]`);

/** The fleet after a plan, if neurons do exactly what they are told and memory is what the plan said. */
export const afterPlan = (observed: ObservedFleet, document: PlanDocument): ObservedFleet =>
  fleetAfter(observed, document.changes.map(changeOf));

/** A row of the document in the planner's words. */
const changeOf = (row: PlanChange): FleetChange => ({
  ...row,
  modelId: row.model_id,
  deviceMib: row.device_vram_mb,
  afterMib: row.vram_after_mb,
  sizeSource: row.vram_source === "estimated" ? "similar" : row.vram_source,
});

/** What a neuron holds after one change. */
export function residentsAfter(models: readonly ResidentModel[], change: PlanChange): ResidentModel[] {
  const others = models.filter((model) => model.id !== change.model_id);
  if (change.kind !== "unload" && change.spec !== null) others.push(loadedFromSpec(change, change.spec));
  return others;
}

const loadedFromSpec = (change: PlanChange, spec: ModelSpec): ResidentModel =>
  residentModel({
    id: change.model_id,
    vramMb: change.vram_after_mb,
    devices: change.devices,
    deviceVramMb: change.device_vram_mb,
    specHash: specHash(spec),
    measured: change.vram_source !== "unknown",
  });
