import { cpus, loadavg, totalmem } from "node:os";
import { placeModels } from "../../src/controller/place/place-models.ts";
import type { Placement } from "../../src/controller/place/board/placement.ts";
import {
  afterPlacement,
  generatedFleet,
  placementWorld,
  worldOf,
  type FleetSketch,
} from "../../test/support/fleet/fleet-generator.ts";

/*
 * How long placement takes and how good it is, on generated fleets: an empty fleet is filled, then 3 % of its neurons
 * are drained. Each case runs once unmeasured, then three times, and the median counts: of the time that passed, and
 * of the processor's time, which other work on the machine does not lengthen as much.
 */

const SIZES = [
  { neurons: 20, models: 200 },
  { neurons: 100, models: 1000 },
  { neurons: 1000, models: 10_000 },
];
const LOADS = [0.9, 0.97, 1.05];
const RUNS = 3;
const DRAINED_SHARE = 0.03;

interface Measured {
  readonly placement: Placement;
  readonly wallMs: number;
  readonly cpuMs: number;
}

/** From an observation to a placement with proof and explanations. */
function measured(sketch: FleetSketch): Measured {
  const { fleet, observed } = placementWorld(sketch);
  const once = (): Measured => {
    const cpuBefore = process.cpuUsage();
    const startedMs = performance.now();
    const placement = placeModels(worldOf(fleet, observed));
    const wallMs = performance.now() - startedMs;
    const cpu = process.cpuUsage(cpuBefore);
    return { placement, wallMs, cpuMs: (cpu.user + cpu.system) / 1000 };
  };
  once();
  const runs = Array.from({ length: RUNS }, once).toSorted((left, right) => left.cpuMs - right.cpuMs);
  return runs[Math.floor(RUNS / 2)] as Measured;
}

const missingIn = ({ explanations }: Placement): number =>
  explanations.reduce((total, { missing }) => total + missing, 0);

function drained(sketch: FleetSketch): FleetSketch {
  const every = Math.round(1 / DRAINED_SHARE);
  const neurons = sketch.neurons.map((neuron, number) =>
    number % every === every - 1 || sketch.neurons.length - 1 === number
      ? { ...neuron, drain: true }
      : neuron,
  );
  return { ...sketch, neurons };
}

/** Moves of copies that could have stayed: to make room for a copy that arrives, and without any reason. */
function movesIn(placement: Placement): { readonly forRoom: number; readonly voluntary: number } {
  const arriving = new Set(placement.arrivals.map(({ modelId }) => modelId));
  const forRoom = placement.displaced.filter(({ inFavourOf }) => arriving.has(inFavourOf)).length;
  return { forRoom, voluntary: placement.displaced.length - forRoom };
}

const seconds = (ms: number): string => (ms / 1000).toFixed(2);
const times = ({ wallMs, cpuMs }: Measured): string[] => [seconds(wallMs), seconds(cpuMs)];
const gapText = ({ gap }: Placement): string =>
  gap.kind === "optimal" ? "optimal" : gap.percent === null ? "unknown" : `<= ${gap.percent.toFixed(2)} %`;

const HEADINGS = [
  "neurons",
  "models",
  "copies",
  "load",
  "case",
  "wall s",
  "cpu s",
  "unplaced",
  "gap",
  "must move",
  "for room",
  "voluntary",
];

function rowsFor(size: (typeof SIZES)[number], load: number): string[][] {
  const sketch = generatedFleet({ ...size, load, seed: 1 });
  const copies = sketch.models.reduce((total, { replicas }) => total + replicas, 0);
  const head = [size.neurons, size.models, copies, load].map(String);
  const filled = measured(sketch);
  const rows = [
    [
      ...head,
      "fill",
      ...times(filled),
      String(missingIn(filled.placement)),
      gapText(filled.placement),
      "",
      "",
      "",
    ],
  ];
  if (load > 1) return rows;
  const loaded = drained(afterPlacement(sketch, filled.placement));
  const evacuated = loaded.neurons
    .filter(({ drain }) => drain === true)
    .reduce((total, neuron) => total + (neuron.loaded ?? []).length, 0);
  const after = measured(loaded);
  const { forRoom, voluntary } = movesIn(after.placement);
  const figures = [missingIn(after.placement), gapText(after.placement), evacuated, forRoom, voluntary].map(
    String,
  );
  rows.push([...head, "drain 3 %", ...times(after), ...figures]);
  return rows;
}

const rows = SIZES.flatMap((size) => LOADS.flatMap((load) => rowsFor(size, load)));
const widths = HEADINGS.map((heading, column) =>
  Math.max(heading.length, ...rows.map((row) => (row[column] ?? "").length)),
);
const line = (cells: readonly string[]): string =>
  cells.map((cell, column) => cell.padStart(widths[column] ?? 0)).join("  ");
const [processor] = cpus();
console.log(
  `${processor?.model ?? "unknown processor"}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, ` +
    `Node ${process.version}, load average ${(loadavg()[0] ?? 0).toFixed(1)}`,
);
console.log([line(HEADINGS), ...rows.map(line)].join("\n"));
