import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { MIB_BYTES } from "../../core/quantities.ts";
import { trafficCounts } from "../residency/admission.ts";
import { heldMib } from "../residency/device-ledger.ts";
import type { Residency } from "../residency/residency-state.ts";

export interface NeuronMetrics {
  readonly contentType: string;
  /** `outcome` is from a closed set; `model` is a loaded model or "unknown". */
  countRequest(model: string, outcome: string): void;
  countCrash(model: string): void;
  observeLoad(outcome: "done" | "failed", durationSecs: number): void;
  /** The exposition text, with the gauges as they are now. */
  render(): Promise<string>;
}

/** Metrics of one neuron, on a registry of its own: several neurons can live in one process. */
export function createNeuronMetrics(residency: () => Residency, registry = new Registry()): NeuronMetrics {
  const registers = [registry];
  const requests = new Counter({
    name: "cortex_neuron_requests_total",
    help: "Inference requests by model and outcome",
    labelNames: ["model", "outcome"] as const,
    registers,
  });
  const crashes = new Counter({
    name: "cortex_neuron_worker_crashes_total",
    help: "Workers that exited without being told to",
    labelNames: ["model"] as const,
    registers,
  });
  const loads = new Histogram({
    name: "cortex_neuron_load_seconds",
    help: "Time from the request for a load to its end",
    labelNames: ["outcome"] as const,
    buckets: [0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600],
    registers,
  });
  registerGauges(registers, residency);
  return {
    contentType: registry.contentType,
    countRequest: (model, outcome) => {
      requests.inc({ model, outcome });
    },
    countCrash: (model) => {
      crashes.inc({ model });
    },
    observeLoad: (outcome, durationSecs) => {
      loads.observe({ outcome }, durationSecs);
    },
    render: () => registry.metrics(),
  };
}

/** Gauges are read from the state when somebody scrapes: nothing to keep in step. */
function registerGauges(registers: Registry[], residency: () => Residency): void {
  void new Gauge({
    name: "cortex_neuron_requests_in_flight",
    help: "Requests that hold a slot, by model",
    labelNames: ["model"] as const,
    registers,
    collect() {
      this.reset();
      for (const [model, resident] of residency().models)
        this.set({ model }, trafficCounts(resident).inFlight);
    },
  });
  void new Gauge({
    name: "cortex_neuron_queue_depth",
    help: "Requests that wait for a slot, by model",
    labelNames: ["model"] as const,
    registers,
    collect() {
      this.reset();
      for (const [model, resident] of residency().models)
        this.set({ model }, trafficCounts(resident).queueDepth);
    },
  });
  void new Gauge({
    name: "cortex_neuron_resident_models",
    help: "Models that are loaded",
    registers,
    collect() {
      this.set([...residency().models.values()].filter(({ phase }) => phase.name === "loaded").length);
    },
  });
  void new Gauge({
    name: "cortex_neuron_generation",
    help: "Rises with every change of residency; begins at the time of the start",
    registers,
    collect() {
      this.set(residency().generation);
    },
  });
  void new Gauge({
    name: "cortex_neuron_device_held_bytes",
    help: "Memory promised to or measured at our models, by device",
    labelNames: ["device"] as const,
    registers,
    collect() {
      for (const device of residency().ledger)
        this.set({ device: String(device.index) }, heldMib(device) * MIB_BYTES);
    },
  });
}
