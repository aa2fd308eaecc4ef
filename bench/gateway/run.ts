import { endProcess } from "../../test/support/end-process.ts";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { cpus, loadavg, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { sendLoad } from "./load.ts";
import { chartOf, pageOf, tableOf, type Cell, type Measured } from "./report.ts";
import { bodyOf, SCENARIOS, WARM_UPS, type Scenario } from "./scenarios.ts";
import {
  cpuMs,
  pinning,
  residentMib,
  SECRET,
  startCortex,
  startNginx,
  startScript,
  type Cortex,
  type System,
} from "./systems.ts";

/*
 * What the gateway costs beside a bare relay of Node's own parts, and nginx where it is installed: processor time of its
 * process for each request and event, from /proc, in rounds that alternate. Keys, metering, metrics and the log (to a
 * file) are on. What is measured has one core, the generator and the neuron the other. Build first (`npm run build`).
 *   node bench/gateway/run.ts [--rounds 5] [--only whole-c32,stream-40] [--beside NAME=CHECKOUT]... [--write] [--profile DIR]
 * `--beside`: another built checkout, in the same rounds, with flags of Node behind a `#`. `--write`: keeps the table in
 * results.txt and renews the page and the chart of docs/. `--profile`: the gateway's CPU profile is written there, and the
 * numbers mean nothing.
 */

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    only: { type: "string" },
    beside: { type: "string", multiple: true, default: [] },
    flags: { type: "string", default: "" },
    write: { type: "boolean", default: false },
    profile: { type: "string" },
  },
});

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const words = (text: string): readonly string[] => text.split(" ").filter((word) => word !== "");

const median = (numbers: readonly number[], share = 0.5): number =>
  numbers.toSorted((left, right) => left - right)[Math.floor(numbers.length * share)] ?? Number.NaN;

async function measure(system: System, scenario: Scenario): Promise<Cell> {
  const { connections, requests } = scenario;
  const before = cpuMs(system);
  const load = { port: system.port, connections, requests, body: bodyOf(scenario), secret: SECRET };
  const { latenciesMs, agesMs } = await sendLoad(load);
  return {
    cpuUs: ((cpuMs(system) - before) * 1000) / requests,
    p50Ms: median(latenciesMs),
    p99Ms: median(latenciesMs, 0.99),
    ageP50Ms: median(agesMs),
    ageP99Ms: median(agesMs, 0.99),
    mib: residentMib(system),
  };
}

const checkouts: readonly Cortex[] = ["cortex=" + here("../.."), ...values.beside].map((option) => {
  const [name = "", place = ""] = option.split("=", 2);
  const [checkout = "", flags = ""] = option.slice(name.length + 1).split("#", 2);
  const profiling = values.profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${values.profile}`];
  const own = name === "cortex" && place !== "" ? words(values.flags) : [];
  return { name, checkout: resolve(checkout), flags: [...profiling, ...words(flags), ...own], options: [] };
});

const wanted = values.only?.split(",");
const scenarios = SCENARIOS.filter(({ name }) => wanted === undefined || wanted.includes(name));
const rounds = Number(values.rounds);
const home = await mkdtemp(join(tmpdir(), "cortex-bench-gateway-"));
const pins = pinning(cpus().length);
const started: Pick<System, "process">[] = [];
const keep = <Started extends Pick<System, "process">>(system: Started): Started => {
  started.push(system);
  return system;
};
try {
  const stub = keep(await startScript([here("stub-neuron.ts")], pins?.rest));
  const place = { home, neuronPort: stub.port, core: pins?.system };
  const bare = keep(await startScript([here("bare-relay.ts"), String(stub.port)], pins?.system));
  const systems: System[] = [{ name: "bare relay", ...bare }];
  const nginx = await startNginx(place);
  if (nginx === null) console.log("nginx is not installed: left out (apt-get install nginx-light)\n");
  else systems.push(keep(nginx));
  for (const checkout of checkouts) systems.push(keep(await startCortex(checkout, place)));
  for (const system of systems) for (const warmUp of WARM_UPS) await measure(system, warmUp);
  const measured: Measured[] = [];
  for (const scenario of scenarios) {
    const cells = new Map<string, Cell[]>(systems.map(({ name }) => [name, []]));
    // Round 0 does not count.
    for (let round = 0; round <= rounds; round += 1) {
      for (const system of systems) {
        const cell = await measure(system, scenario);
        if (round > 0) cells.get(system.name)?.push(cell);
      }
    }
    measured.push({ scenario, cells });
    console.log(tableOf({ scenario, cells }));
  }
  const machine = `${cpus()[0]?.model.trim()}, ${cpus().length} cores, Node ${process.version}, load average ${loadavg()[0]?.toFixed(1)}`;
  const how = `medians of ${rounds} alternating rounds, ${pins === null ? "not pinned" : "what is measured on one core, generator and neuron on the other"}`;
  if (values.write) {
    await writeFile(here("results.txt"), [`${machine}, ${how}\n`, ...measured.map(tableOf)].join("\n"));
    await writeFile(here("../../docs/gateway-speed.md"), pageOf(measured, { machine, how }));
    await writeFile(here("../../docs/gateway-speed.svg"), chartOf(measured));
  }
} finally {
  for (const { process: child } of started.reverse()) {
    await endProcess(child);
  }
  await rm(home, { recursive: true, force: true });
}
