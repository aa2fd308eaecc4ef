import type {
  ObservedFleet,
  ObservedNeuron,
  ReachableNeuron,
} from "../../src/controller/observe/observed-fleet.ts";
import type { Fleet } from "../../src/fleet/schema/fleet-schema.ts";
import { parseFleet } from "../../src/fleet/load-fleet.ts";
import type { ModelLoad, ResidentModel } from "../../src/protocol/neuron-api.ts";
import { declaredHash, residentModel } from "./observed-fleet-builders.ts";

/** beast with two cards of 32 GiB, benjy with one of 24, quadbrat with one of 12, and a catalogue that fills them. */
interface Loaded {
  readonly id: string;
  readonly neuron: string;
  readonly devices: readonly number[];
  readonly deviceVramMb: readonly number[];
  /** Seconds that its load took. */
  readonly loadSecs: number;
  readonly origin?: "revision" | "request" | "manual";
  readonly inFlight?: number;
  readonly queued?: number;
  readonly perMinute?: number;
  readonly lastUsedMs?: number;
}

export interface CanonicalCase {
  readonly title: string;
  readonly models: string;
  readonly loaded: readonly Loaded[];
  /** Extra lines of neuron blocks. */
  readonly neurons?: Readonly<Record<string, string>>;
  readonly silent?: Readonly<Record<string, string>>;
}

const CARDS: Readonly<Record<string, { readonly name: string; readonly totalsMb: readonly number[] }>> = {
  beast: { name: "NVIDIA GeForce RTX 5090", totalsMb: [32_607, 32_607] },
  benjy: { name: "NVIDIA GeForce RTX 4090", totalsMb: [24_564] },
  quadbrat: { name: "NVIDIA GeForce RTX 3060", totalsMb: [12_288] },
};

/** What the desktop and the driver take on every card. */
const FOREIGN_MB = 380;

const TAKEN_AT_MS = Date.UTC(2026, 5, 1, 8, 30);

export const CATALOGUE = `[[models]]
id = "Qwen/Qwen3.6-27B"
source = "Qwen3.6-27B-Q6_K.gguf"
replicas = 1
pinned_on = ["beast"]
min_devices = 2
min_device_vram_mb = 24_000
vram_mb = 44_000
residency_priority = 300
context = 32_768
protect = true

[[models]]
id = "Qwen/Qwen3-8B"
source = "Qwen3-8B-Q4_K_M.gguf"
replicas = 2
vram_mb = 8_200
context = 16_384

[[models]]
id = "mistralai/Devstral-Small-2507"
source = "Devstral-Small-2507-Q4_K_M.gguf"
replicas = 1
vram_mb = 15_000
context = 32_768

[[models]]
id = "nomic/embed-text"
source = "nomic-embed-text-v1.5.gguf"
replicas = 2
vram_mb = 700
residency_priority = 200
capabilities = ["embeddings"]

[[models]]
id = "openai/gpt-oss-20b"
source = "gpt-oss-20b-MXFP4.gguf"
vram_mb = 13_500
idle_unload_secs = 900
`;

/** The catalogue as it is loaded on an ordinary day. */
export const ORDINARY_DAY: readonly Loaded[] = [
  {
    id: "Qwen/Qwen3.6-27B",
    neuron: "beast",
    devices: [0, 1],
    deviceVramMb: [22_140, 21_350],
    loadSecs: 41,
    inFlight: 2,
    perMinute: 14,
    lastUsedMs: TAKEN_AT_MS - 400,
  },
  {
    id: "mistralai/Devstral-Small-2507",
    neuron: "benjy",
    devices: [0],
    deviceVramMb: [14_720],
    loadSecs: 19.5,
    inFlight: 1,
    queued: 3,
    perMinute: 6.5,
    lastUsedMs: TAKEN_AT_MS - 2_000,
  },
  {
    id: "Qwen/Qwen3-8B",
    neuron: "benjy",
    devices: [0],
    deviceVramMb: [8_050],
    loadSecs: 9.2,
    perMinute: 31,
    lastUsedMs: TAKEN_AT_MS - 3_000,
  },
  {
    id: "Qwen/Qwen3-8B",
    neuron: "quadbrat",
    devices: [0],
    deviceVramMb: [8_050],
    loadSecs: 24.8,
    inFlight: 1,
    perMinute: 12,
    lastUsedMs: TAKEN_AT_MS - 900,
  },
  {
    id: "nomic/embed-text",
    neuron: "beast",
    devices: [1],
    deviceVramMb: [655],
    loadSecs: 1.4,
    perMinute: 40,
    lastUsedMs: TAKEN_AT_MS - 60_000,
  },
  {
    id: "nomic/embed-text",
    neuron: "quadbrat",
    devices: [0],
    deviceVramMb: [655],
    loadSecs: 1.9,
    perMinute: 38,
    lastUsedMs: TAKEN_AT_MS - 61_000,
  },
];

export function canonicalFiles({ title, models, neurons = {} }: CanonicalCase): string {
  const blocks = Object.keys(CARDS).map(
    (name) =>
      `[[neurons]]\nname = "${name}"\nendpoint = "http://${name}.internal:13131"\n${neurons[name] ?? ""}`,
  );
  return [`# ${title}\n[fleet]\nname = "home"\n`, ...blocks, models].join("\n");
}

export function canonicalFleet(files: string): Fleet {
  const result = parseFleet([{ path: "fleet.toml", text: files }]);
  if (!result.ok) throw new Error(result.error.map(({ message }) => message).join("\n"));
  return result.value.fleet;
}

export function canonicalObservation(fleet: Fleet, { loaded, silent = {} }: CanonicalCase): ObservedFleet {
  const neurons = Object.keys(CARDS).map((name): ObservedNeuron => {
    const endpoint = `http://${name}.internal:13131`;
    const problem = silent[name];
    if (problem !== undefined) return { name, endpoint, reachable: false, problem };
    return reachable(
      name,
      fleet,
      loaded.filter((copy) => copy.neuron === name),
    );
  });
  const copies = loaded
    .filter(({ neuron }) => silent[neuron] === undefined)
    .map(({ neuron, id, perMinute = 0 }) => ({ neuron, modelId: id, requestsPerMinute: perMinute }));
  return { observedAtMs: TAKEN_AT_MS, neurons, traffic: { windowSecs: 86_400, copies } };
}

function reachable(name: string, fleet: Fleet, loaded: readonly Loaded[]): ReachableNeuron {
  const card = CARDS[name];
  if (card === undefined) throw new Error(name);
  const used = card.totalsMb.map(
    (_total, index) =>
      FOREIGN_MB +
      loaded.reduce((sum, copy) => sum + (copy.deviceVramMb[copy.devices.indexOf(index)] ?? 0), 0),
  );
  return {
    name,
    endpoint: `http://${name}.internal:13131`,
    reachable: true,
    generation: 12 + loaded.length,
    models: loaded.map((copy) => resident(copy, fleet)),
    discovery: {
      hostname: `${name}.internal`,
      os: "linux",
      kernel: "6.12",
      cpu_cores: 16,
      driver_version: "575.57",
      devices: card.totalsMb.map((totalMb, index) => ({
        index,
        uuid: `GPU-${name}-${index}`,
        kind: "cuda",
        name: card.name,
        vram_total_mb: totalMb,
        compute_capability: "8.9",
      })),
      harnesses: ["llama"],
      cuda_unavailable_reason: null,
      disk_free_bytes: 412 * 1024 ** 3,
    },
    health: {
      status: "ok",
      uptime_secs: 86_400,
      devices: card.totalsMb.map((totalMb, index) => ({
        index,
        vram_used_mb: used[index] ?? 0,
        vram_free_mb: totalMb - (used[index] ?? 0),
        utilization_pct: 3,
        temp_c: 41,
      })),
      models: loaded.map(loadOf),
    },
  };
}

function resident(copy: Loaded, fleet: Fleet): ResidentModel {
  const isDeclared = fleet.models.some(({ id }) => id === copy.id);
  return {
    ...residentModel({
      id: copy.id,
      vramMb: copy.deviceVramMb.reduce((sum, mb) => sum + mb, 0),
      devices: copy.devices,
      deviceVramMb: copy.deviceVramMb,
      origin: copy.origin ?? "revision",
      specHash: isDeclared ? declaredHash(fleet, copy.id) : "0123456789abcdef",
      lastUsedMs: copy.lastUsedMs ?? TAKEN_AT_MS - 3_600_000,
    }),
    load_duration_ms: copy.loadSecs * 1000,
  };
}

const loadOf = ({ id, inFlight = 0, queued = 0 }: Loaded): ModelLoad => ({
  id,
  in_flight: inFlight,
  queue_depth: queued,
  max_in_flight: 4,
  max_queue_depth: 32,
  rejected_queue_full: 0,
});

const swapBlock = (id: string, vramMb: number, pins: readonly string[]): string =>
  `[[models]]\nid = "${id}"\nreplicas = 1\nvram_mb = ${vramMb}\npinned_on = [${pins.map((pin) => `"${pin}"`).join(", ")}]\n`;

const swapped = (facts: { readonly writerMb: number; readonly writerPins: readonly string[] }) => ({
  models: [
    swapBlock("acme/writer", facts.writerMb, facts.writerPins),
    swapBlock("acme/coder", 24_000, ["benjy"]),
    swapBlock("acme/judge", 25_000, ["beast"]),
  ].join("\n"),
  loaded: [
    {
      id: "acme/writer",
      neuron: "benjy",
      devices: [0],
      deviceVramMb: [facts.writerMb],
      loadSecs: 12.5,
      perMinute: 2,
    },
    {
      id: "acme/coder",
      neuron: "beast",
      devices: [0],
      deviceVramMb: [24_000],
      loadSecs: 31,
      inFlight: 2,
      perMinute: 25,
    },
    { id: "acme/judge", neuron: "beast", devices: [1], deviceVramMb: [25_000], loadSecs: 33, perMinute: 1 },
  ] satisfies Loaded[],
});

/** Directory of the fixture, and what is in it. */
export const CANONICAL_CASES: Readonly<Record<string, CanonicalCase>> = {
  empty: { title: "Nothing is loaded yet.", models: CATALOGUE, loaded: [] },
  steady: { title: "Everything is as declared.", models: CATALOGUE, loaded: ORDINARY_DAY },
  unplaceable: {
    title: "A model that no place is left for.",
    models: `${CATALOGUE}
[[models]]
id = "meta/Llama-3.3-70B"
source = "Llama-3.3-70B-Q4_K_M.gguf"
replicas = 1
min_devices = 2
vram_mb = 46_500
context = 16_384
`,
    loaded: ORDINARY_DAY,
  },
  drained: {
    title: "quadbrat goes to maintenance.",
    models: CATALOGUE,
    loaded: ORDINARY_DAY,
    neurons: { quadbrat: "drain = true\n" },
  },
  "lost-neuron": {
    title: "benjy does not answer.",
    models: CATALOGUE,
    loaded: ORDINARY_DAY,
    silent: { benjy: "no answer within 5 s" },
  },
  "class-conflict": {
    title: "A model of a higher class comes to a full fleet.",
    models: `${CATALOGUE}
[[models]]
id = "deepseek/R1-Distill-32B"
source = "R1-Distill-32B-Q4_K_M.gguf"
replicas = 1
vram_mb = 21_500
residency_priority = 250
context = 16_384
`,
    loaded: ORDINARY_DAY,
  },
  "swap-cycle": {
    title: "Two models change places on full cards, and no third place is allowed.",
    ...swapped({ writerMb: 22_000, writerPins: ["beast"] }),
  },
  "swap-parked": {
    title: "Two models change places on full cards; one of them waits on a third.",
    ...swapped({ writerMb: 9_000, writerPins: ["beast", "quadbrat"] }),
  },
};
