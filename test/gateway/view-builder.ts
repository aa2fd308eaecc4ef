import { indexFleet, type FleetIndex } from "../../src/gateway/view/fleet-index.ts";
import {
  applyFleetEvent,
  initialFleetView,
  type FleetEvent,
  type FleetView,
} from "../../src/gateway/view/fleet-view.ts";
import type { KnownOfCopies, RoutingFacts } from "../../src/gateway/routing/route-request.ts";
import { fleetSchema } from "../../src/fleet/schema/fleet-schema.ts";
import type { Device, Discovery, ModelLoad, ResidentModel } from "../../src/protocol/neuron-api.ts";
import { residentModel, TEST_DEVICE } from "../support/neuron/fake-neuron.ts";

export interface NeuronSketch {
  /** Of all its devices; default simulated. */
  readonly kind?: Device["kind"];
  /** Total MiB of each device; default one of 24 GiB. */
  readonly deviceMb?: readonly number[];
  /** Free MiB of each device; default all of it. */
  readonly freeMb?: readonly number[];
  /** A string is a loaded model of that id. */
  readonly models?: readonly (string | ResidentModel)[];
  /** Requests in flight per model. */
  readonly load?: Readonly<Record<string, number>>;
  readonly draining?: boolean;
  readonly uptimeSecs?: number;
  readonly outstanding?: Readonly<Record<string, number>>;
  /** Seconds that a load took there, per model. */
  readonly loadSecs?: Readonly<Record<string, number>>;
}

export const devicesOf = (sizesMb: readonly number[]): Device[] =>
  sizesMb.map((vram_total_mb, index) => ({ ...TEST_DEVICE, index, uuid: `SIM-${index}`, vram_total_mb }));

export const discoveryOf = (devices: Device[]): Discovery => ({
  hostname: "fake",
  os: "linux",
  kernel: "0",
  cpu_cores: 2,
  driver_version: null,
  devices,
  harnesses: ["llama"],
  cuda_unavailable_reason: null,
  disk_free_bytes: null,
});

const loadOf = ([id, in_flight]: [string, number]): ModelLoad => ({
  id,
  in_flight,
  queue_depth: 0,
  max_in_flight: 4,
  max_queue_depth: 8,
  rejected_queue_full: 0,
});

/** The event of a neuron that answers as sketched. */
export function answerOf(neuron: string, sketch: NeuronSketch = {}): FleetEvent {
  const kind = sketch.kind ?? TEST_DEVICE.kind;
  const devices = devicesOf(sketch.deviceMb ?? [24_576]).map((device) => ({ ...device, kind }));
  return {
    kind: "neuron-answered",
    neuron,
    atMs: 1000,
    discovery: {
      ...discoveryOf(devices),
      facts: Object.entries(sketch.loadSecs ?? {}).map(([model_id, load_secs]) => ({
        model_id,
        spec_hash: "s",
        source: "measured",
        vram_mb: 1,
        load_secs,
        load_secs_source: "measured",
      })),
    },
    health: {
      status: sketch.draining === true ? "draining" : "ok",
      uptime_secs: sketch.uptimeSecs ?? 10,
      devices: devices.map((device, position) => ({
        index: device.index,
        vram_used_mb: 0,
        vram_free_mb: sketch.freeMb?.[position] ?? device.vram_total_mb,
        utilization_pct: null,
        temp_c: null,
      })),
      models: Object.entries(sketch.load ?? {}).map(loadOf),
    },
    models: {
      generation: 1,
      models: (sketch.models ?? []).map((model) =>
        typeof model === "string" ? residentModel(model) : model,
      ),
    },
    outstanding: new Map(Object.entries(sketch.outstanding ?? {})),
  };
}

export const missOf = (neuron: string): FleetEvent => ({ kind: "neuron-missed", neuron, problem: "refused" });

type SketchedFleet = Readonly<Record<string, NeuronSketch | "unknown" | "unhealthy">>;

export function viewOf(neurons: SketchedFleet): FleetView {
  let view = initialFleetView(Object.keys(neurons));
  for (const [name, sketch] of Object.entries(neurons)) {
    if (sketch === "unknown") continue;
    view = applyFleetEvent(view, sketch === "unhealthy" ? missOf(name) : answerOf(name, sketch));
  }
  return view;
}

type Fields = Readonly<Record<string, unknown>>;

export const indexOf = (
  neurons: Readonly<Record<string, Fields>>,
  models: readonly Fields[],
  aliases: Readonly<Record<string, string>> = {},
): FleetIndex =>
  indexFleet(
    fleetSchema.parse({
      fleet: { name: "test" },
      neurons: Object.entries(neurons).map(([name, fields]) => ({
        name,
        endpoint: `http://${name}.test:13131`,
        ...fields,
      })),
      models,
      aliases,
    }),
  );

type FactChanges = Partial<Omit<RoutingFacts, "copies"> & KnownOfCopies>;

export function factsOf(model: string, changes: FactChanges = {}): RoutingFacts {
  const { outstanding = () => 0, trustIn = () => null, speedOf = () => null, ...others } = changes;
  return {
    model,
    copies: { outstanding, trustIn, speedOf },
    affinity: () => null,
    avoid: new Set(),
    excluded: new Set(),
    ...others,
  };
}
