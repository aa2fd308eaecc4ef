import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { cpus, loadavg, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { snapshotOfFleet } from "../../src/controller/observe/fleet-snapshots.ts";
import {
  afterPlacement,
  generatedFleet,
  placementWorld,
  type FleetSketch,
  type PlacementWorld,
} from "../../test/support/fleet/fleet-generator.ts";
import { placeModels } from "../../src/controller/place/place-models.ts";

/*
 * How long an operator waits: `cortex plan` and `cortex plan verify` as processes of their own, from the start of Node to
 * the last byte, on fleet files and a snapshot on disk. Each runs three times and the quickest counts: other work on the
 * machine can only lengthen it. Build first (`npm run build`): it is dist that runs. `--large`: the large fleet alone.
 */

const SIZES = [
  { neurons: 20, models: 200 },
  { neurons: 100, models: 1000 },
  { neurons: 1000, models: 10_000 },
];
const LOAD = 0.9;
const RUNS = 3;
const DRAINED_EVERY = 33;

const CORTEX = fileURLToPath(new URL("../../bin/run.js", import.meta.url));

interface FleetOnDisk {
  readonly directory: string;
  readonly snapshot: string;
  readonly plan: string;
}

const tomlOf = (sketch: FleetSketch): string =>
  [
    '[fleet]\nname = "generated"\n',
    ...sketch.neurons.map(
      ({ name, drain = false }) =>
        `[[neurons]]\nname = "${name}"\nendpoint = "http://${name}.example:13131"\ndrain = ${drain}\n`,
    ),
    ...sketch.models.map(({ id, mib, replicas, width = 1, priority = 100, pins = [] }) =>
      [
        `[[models]]\nid = "${id}"`,
        `replicas = ${replicas}`,
        `min_devices = ${width}`,
        `residency_priority = ${priority}`,
        `pinned_on = [${pins.map((pin) => `"${pin}"`).join(", ")}]`,
        `vram_mb = ${mib ?? 1}\n`,
      ].join("\n"),
    ),
  ].join("\n");

async function onDisk(sketch: FleetSketch, { fleet, observed }: PlacementWorld): Promise<FleetOnDisk> {
  const directory = await mkdtemp(join(tmpdir(), "cortex-bench-plan-"));
  const snapshot = join(directory, "snapshot.json");
  await writeFile(join(directory, "fleet.toml"), tomlOf(sketch));
  await writeFile(snapshot, JSON.stringify(snapshotOfFleet(fleet.fleet.name, observed)));
  return { directory, snapshot, plan: join(directory, "plan.json") };
}

interface Times {
  readonly wallSecs: number;
  readonly cpuSecs: number;
}

/** Says at its end, on its fourth channel, what it took of the processor. */
const COUNTING = `data:text/javascript,${encodeURIComponent(
  'import { writeSync } from "node:fs"; process.on("exit", () => { const { user, system } = process.cpuUsage(); writeSync(3, String(user + system)); });',
)}`;

/** What it prints is read and thrown away. */
async function timesOf(commandLine: readonly string[]): Promise<Times> {
  const startedMs = performance.now();
  const child = spawn(process.execPath, ["--import", COUNTING, CORTEX, ...commandLine], {
    stdio: ["ignore", "pipe", "pipe", "pipe"],
  });
  const [, output, errors, counted] = child.stdio;
  let complaint = "";
  let cpuMicroSecs = "";
  output?.resume();
  errors?.on("data", (chunk: Buffer) => (complaint += chunk.toString()));
  counted?.on("data", (chunk: Buffer) => (cpuMicroSecs += chunk.toString()));
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`cortex ${commandLine.join(" ")} ended with ${code}: ${complaint}`);
  return { wallSecs: (performance.now() - startedMs) / 1000, cpuSecs: Number(cpuMicroSecs) / 1e6 };
}

async function quickest(commandLine: readonly string[]): Promise<string[]> {
  const runs: Times[] = [];
  for (let run = 0; run < RUNS; run += 1) runs.push(await timesOf(commandLine));
  const least = (timeOf: (times: Times) => number): string => Math.min(...runs.map(timeOf)).toFixed(2);
  return [least(({ wallSecs }) => wallSecs), least(({ cpuSecs }) => cpuSecs)];
}

const HEADINGS = [
  "neurons",
  "models",
  "copies",
  "case",
  "plan s",
  "cpu s",
  "--out s",
  "cpu s",
  "verify s",
  "cpu s",
];

async function rowOf(sketch: FleetSketch, label: string): Promise<string[]> {
  const disk = await onDisk(sketch, placementWorld(sketch));
  const { directory, snapshot, plan } = disk;
  const copies = sketch.models.reduce((total, { replicas }) => total + replicas, 0);
  const planned = ["plan", "--config", directory, "--against", snapshot];
  const row = [
    ...[sketch.neurons.length, sketch.models.length, copies].map(String),
    label,
    ...(await quickest(planned)),
    ...(await quickest([...planned, "--out", plan])),
    ...(await quickest(["plan", "verify", plan, "--against", snapshot])),
  ];
  await rm(directory, { recursive: true });
  return row;
}

/** An empty fleet is filled; the filled one is looked at once more; then 3 % of its neurons are drained. */
async function rowsFor(size: (typeof SIZES)[number]): Promise<string[][]> {
  const empty = generatedFleet({ ...size, load: LOAD, seed: 1 });
  const steady = afterPlacement(empty, placeModels(placementWorld(empty)));
  const drained: FleetSketch = {
    ...steady,
    neurons: steady.neurons.map((neuron, number) => ({ ...neuron, drain: number % DRAINED_EVERY === 0 })),
  };
  return [await rowOf(empty, "fill"), await rowOf(steady, "steady"), await rowOf(drained, "drain 3 %")];
}

const rows: string[][] = [];
const sizes = process.argv.includes("--large") ? SIZES.slice(-1) : SIZES;
for (const size of sizes) rows.push(...(await rowsFor(size)));
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
