import type { FleetState, GatewayWorker } from "./gateway-api.ts";
import type { Job, StepsInUse, ThreadsInUse } from "./neuron-api.ts";

/** What `cortex status --json` prints: the fleet at a glance, as the neurons themselves report it. */
export interface StatusReport {
  readonly fleet: string;
  readonly gateway: {
    readonly url: string;
    /** `ok`, `impaired`, `degraded` as the gateway says; null when it does not answer. */
    readonly status: string | null;
    readonly problem: string | null;
    /** What is amiss, in words, beside what the neurons show. */
    readonly reasons: readonly string[];
    /** Loads, who waits, and what could not be loaded; null where the gateway does not say. */
    readonly work: StatusWork | null;
    /** Why it does not say; null where it does. */
    readonly work_problem: string | null;
    /** The processes that serve requests; absent where the gateway is one process, and where `work` is null. */
    readonly workers?: readonly GatewayWorker[];
  };
  readonly loops: LoopsHeld;
  readonly neurons: readonly StatusNeuron[];
  readonly models: readonly StatusModel[];
}

/** Whether the loops of the fleet (`cortex reconcile`) are held back from changing it now. */
export interface LoopsHeld {
  /** Who suspended them, until when and why, or which window is closed; null where nothing holds them back. */
  readonly hold: string | null;
  /** Why it could not be found out; null where it could. */
  readonly problem: string | null;
}

export type StatusWork = Pick<FleetState, "now_ms" | "loads" | "queues" | "failed_loads">;

export interface StatusNeuron {
  readonly name: string;
  readonly endpoint: string;
  readonly reachable: boolean;
  /** In words, when it does not answer. */
  readonly problem: string | null;
  /** `ok` or `draining`; null when unknown. */
  readonly status: string | null;
  readonly devices: readonly {
    readonly index: number;
    readonly name: string;
    readonly kind: string;
    readonly vram_total_mb: number;
    readonly vram_used_mb: number | null;
  }[];
  readonly models: readonly {
    readonly id: string;
    readonly status: string;
    readonly devices: readonly number[];
    readonly vram_used_mb: number;
    readonly in_flight: number;
    readonly queue_depth: number;
    /** Why it cannot serve; null when it can. */
    readonly unservable: string | null;
    readonly last_used_ms: number | null;
    /** CPU threads that compute it, as `GET /models` of the neuron says; null where it is not known. */
    readonly threads: ThreadsInUse | null;
    /** How its context is made, as `GET /models` says; null where it is not known. */
    readonly steps: StepsInUse | null;
    /** The fleet that had it loaded; null where nobody says: by hand, or by an older cortex. */
    readonly fleet: string | null;
    /** The revision that it was loaded from; null for what a request or a person had loaded. */
    readonly revision: string | null;
    /** The files differed from that revision. */
    readonly uncommitted: boolean;
    /** `fleet` is another one: its copies are left alone. */
    readonly foreign: boolean;
  }[];
}

export interface StatusModel {
  readonly id: string;
  /** Copies that the files keep loaded; 0 = on demand; null = no block declares it. */
  readonly declared: number | null;
  /** Copies of other fleets do not count, but for a model that only they hold. */
  readonly loaded_on: readonly string[];
  /** `resident` and `on_demand` are as declared, `foreign` is another fleet's; the others need a look. */
  readonly state: "resident" | "on_demand" | "missing" | "loading" | "undeclared" | "foreign" | "unknown";
}

/** What `cortex jobs --json` prints: loads and unloads that the neurons remember. */
export interface JobsReport {
  readonly fleet: string;
  readonly now_ms: number;
  /** The latest first. */
  readonly jobs: readonly (Job & { readonly neuron: string })[];
  /** Neurons that did not say, and why. */
  readonly silent: readonly { readonly neuron: string; readonly problem: string }[];
}
