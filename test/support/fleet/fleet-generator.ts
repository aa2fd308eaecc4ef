import { judgeCopies, type JudgedCopy } from "../../../src/controller/intent/present-copies.ts";
import { desiredModels, type DesiredModel } from "../../../src/controller/intent/desired-models.ts";
import type { ObservedFleet, ReachableNeuron } from "../../../src/controller/observe/observed-fleet.ts";
import type {
  Placement,
  PlacementInput,
  PlacementOptions,
} from "../../../src/controller/place/board/placement.ts";
import { fleetSchema, type Fleet } from "../../../src/fleet/schema/fleet-schema.ts";
import { modelSpecFromBlock } from "../../../src/protocol/model-spec.ts";
import type { ResidentModel } from "../../../src/protocol/neuron-api.ts";
import { specHash } from "../../../src/protocol/spec-hash.ts";

/** Numbers in [0, 1) that are the same in every run (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d_2b_79_f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export interface FleetSketch {
  readonly neurons: readonly {
    readonly name: string;
    readonly devices: readonly number[];
    readonly drain?: boolean;
    readonly loaded?: readonly LoadedSketch[];
  }[];
  readonly models: readonly ModelSketch[];
}

export interface LoadedSketch {
  readonly id: string;
  readonly devices: readonly number[];
  /** On each of the devices. */
  readonly mib: readonly number[];
  /** False: loaded with other settings. */
  readonly current?: boolean;
  readonly origin?: "revision" | "request" | "manual";
}

export interface ModelSketch {
  readonly id: string;
  readonly mib: number | undefined;
  readonly replicas: number;
  readonly width?: number;
  readonly priority?: number;
  readonly pins?: readonly string[];
  readonly floorMib?: number;
  readonly protect?: boolean;
  readonly context?: number;
}

export interface PlacementWorld extends PlacementInput {
  readonly fleet: Fleet;
  readonly observed: ObservedFleet;
  readonly desired: ReadonlyMap<string, DesiredModel>;
  readonly copies: readonly JudgedCopy[];
}

/** Everything that placement asks for, from a sketch. */
export function placementWorld(sketch: FleetSketch, options?: PlacementOptions): PlacementWorld {
  const fleet = fleetOf(sketch);
  const observed = observedOf(sketch, fleet);
  return worldOf(fleet, observed, options);
}

export function worldOf(fleet: Fleet, observed: ObservedFleet, options?: PlacementOptions): PlacementWorld {
  const desired = desiredModels(fleet, observed);
  const copies = judgeCopies(fleet, observed, desired);
  return { fleet, observed, desired, copies, ...(options === undefined ? {} : { options }) };
}

const fleetOf = (sketch: FleetSketch): Fleet =>
  fleetSchema.parse({
    fleet: { name: "generated" },
    neurons: sketch.neurons.map(({ name, drain }) => ({
      name,
      endpoint: `http://${name}.example:13131`,
      drain: drain ?? false,
    })),
    models: sketch.models.map((model) => ({
      id: model.id,
      replicas: model.replicas,
      min_devices: model.width ?? 1,
      residency_priority: model.priority ?? 100,
      pinned_on: [...(model.pins ?? [])],
      protect: model.protect ?? false,
      ...(model.mib === undefined ? {} : { vram_mb: model.mib }),
      ...(model.floorMib === undefined ? {} : { min_device_vram_mb: model.floorMib }),
      ...(model.context === undefined ? {} : { context: model.context }),
    })),
  });

function observedOf(sketch: FleetSketch, fleet: Fleet): ObservedFleet {
  const hashes = new Map(fleet.models.map((block) => [block.id, specHash(modelSpecFromBlock(block))]));
  const neurons = sketch.neurons.map(({ name, devices, loaded = [] }): ReachableNeuron => {
    const models = loaded.map((copy) => resident(copy, hashes.get(copy.id)));
    const used = devices.map((_, index) =>
      loaded.reduce((total, copy) => total + (copy.mib[copy.devices.indexOf(index)] ?? 0), 0),
    );
    return {
      name,
      endpoint: `http://${name}.example:13131`,
      reachable: true,
      generation: 1,
      models,
      discovery: {
        hostname: name,
        os: "linux",
        kernel: "6",
        cpu_cores: 8,
        driver_version: null,
        devices: devices.map((totalMib, index) => ({
          index,
          uuid: `${name}-${index}`,
          kind: "simulated",
          name: `card ${index}`,
          vram_total_mb: totalMib,
          compute_capability: null,
        })),
        harnesses: ["llama"],
        cuda_unavailable_reason: null,
        disk_free_bytes: null,
      },
      health: {
        status: "ok",
        uptime_secs: 1,
        devices: devices.map((totalMib, index) => ({
          index,
          vram_used_mb: Math.min(totalMib, used[index] ?? 0),
          vram_free_mb: Math.max(0, totalMib - (used[index] ?? 0)),
          utilization_pct: null,
          temp_c: null,
        })),
        models: [],
      },
    };
  });
  return { observedAtMs: 1000, neurons };
}

function resident(copy: LoadedSketch, hash: string | undefined): ResidentModel {
  return {
    id: copy.id,
    harness: "llama",
    status: "loaded",
    spec_hash: copy.current === false || hash === undefined ? "other" : hash,
    devices: [...copy.devices],
    vram_used_mb: copy.mib.reduce((total, mib) => total + mib, 0),
    vram_measured: true,
    device_vram_mb: [...copy.mib],
    capabilities: ["text"],
    limit: null,
    parallel: 4,
    tool_call: false,
    reasoning: false,
    servable: { ok: true },
    origin: { kind: copy.origin ?? "revision", ref: "0000000" },
    last_used_ms: null,
    loaded_at_ms: 0,
    load_duration_ms: 1,
    pid: 1,
  };
}

/** The sketch with every placed copy loaded where the placement put it, and nothing else. */
export function afterPlacement(sketch: FleetSketch, placement: Placement): FleetSketch {
  const byNeuron = Map.groupBy(placement.assignments, ({ neuron }) => neuron);
  return {
    ...sketch,
    neurons: sketch.neurons.map((neuron) => ({
      ...neuron,
      loaded: (byNeuron.get(neuron.name) ?? []).map(({ modelId, devices, deviceMib }) => ({
        id: modelId,
        devices,
        mib: deviceMib,
      })),
    })),
  };
}

const GIB = 1024;
const DEVICE_SIZES = [8, 12, 16, 24, 32, 48, 80].map((gib) => gib * GIB);
const DEVICES_PER_NEURON = [1, 1, 1, 2, 2, 2, 4, 4, 8];

export interface FleetSize {
  readonly neurons: number;
  readonly models: number;
  /** What the copies take of all memory, 0 to 1 and above. */
  readonly load: number;
  readonly seed: number;
}

/**
 * A fleet of mismatched machines: 1 to 8 devices of 8 to 80 GiB each. A fifth of the models has two copies, one in
 * twenty spreads over two devices, one in ten is pinned to a few neurons, classes are 100, 200 and 300 in equal parts,
 * and sizes are drawn log-evenly, then scaled so that all copies together make up the load.
 */
export function generatedFleet(size: FleetSize): FleetSketch {
  const random = seededRandom(size.seed);
  const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)] as Item;
  const neurons = Array.from({ length: size.neurons }, (_, number) => {
    const deviceMib = pick(DEVICE_SIZES);
    const count = pick(DEVICES_PER_NEURON);
    return {
      name: `n${String(number).padStart(4, "0")}`,
      devices: Array.from({ length: count }, () => deviceMib),
    };
  });
  const capacity = neurons.reduce(
    (total, { devices }) => total + devices.reduce((sum, mib) => sum + mib, 0),
    0,
  );
  const drafts = Array.from({ length: size.models }, (_, number) => {
    const width = random() < 0.05 ? 2 : 1;
    return {
      id: `m${String(number).padStart(5, "0")}`,
      relative: Math.exp(random() * Math.log(42 / 0.9)) * width,
      replicas: random() < 0.2 ? 2 : 1,
      width,
      priority: pick([100, 200, 300]),
      pinRoll: random(),
      pinSeed: random(),
    };
  });
  const demanded = drafts.reduce((total, { relative, replicas }) => total + relative * replicas, 0);
  const scale = (capacity * size.load) / demanded;
  const largest = Math.max(...neurons.map(({ devices }) => devices[0] ?? 0));
  const models = drafts.map(({ id, relative, replicas, width, priority, pinRoll, pinSeed }): ModelSketch => {
    const mib = Math.max(256, Math.min(Math.round(relative * scale), largest * width));
    const hosts = neurons.filter(
      ({ devices }) => devices.length >= width && (devices[0] ?? 0) * width >= mib,
    );
    const start = Math.floor(pinSeed * hosts.length);
    const pins =
      pinRoll < 0.1 ? [0, 1, 2, 3].map((step) => hosts[(start + step * 7) % hosts.length]?.name ?? "") : [];
    return {
      id,
      mib,
      replicas: Math.min(replicas, hosts.length),
      width,
      priority,
      pins: [...new Set(pins)].filter((pin) => pin !== ""),
    };
  });
  return { neurons, models };
}
