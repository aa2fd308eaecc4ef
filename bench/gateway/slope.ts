import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { endProcess } from "../../test/support/end-process.ts";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { sendLoad } from "./load.ts";
import { bodyOf, SCENARIOS } from "./scenarios.ts";
import { pinning, residentMib, SECRET, startCortex, startScript } from "./systems.ts";

/*
 * Whether the gateway's memory grows: a million whole answers, 32 at a time, and after each tenth what the process takes,
 * and what of it lives: the heap after a full collection, with what its objects hold outside of it. The collector's own room
 * and pages in pieces are in the first and not in the second; what is kept for ever is in both. A slope is that of a line
 * through the second half, in KiB for a thousand requests. Build first (`npm run build`).
 *   node bench/gateway/slope.ts [--requests 1000000] [--write]
 */

const { values } = parseArgs({
  options: { requests: { type: "string", default: "1000000" }, write: { type: "boolean", default: false } },
});

const TENTHS = 10;
const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** Of the least squares, in units of y for each step of x. */
function slopeOf(ys: readonly number[]): number {
  const meanX = (ys.length - 1) / 2;
  const meanY = ys.reduce((sum, y) => sum + y, 0) / ys.length;
  const over = ys.reduce((sum, y, x) => sum + (x - meanX) * (y - meanY), 0);
  return over / ys.reduce((sum, _, x) => sum + (x - meanX) ** 2, 0);
}

const [scenario] = SCENARIOS.filter(({ name }) => name === "whole-c32");
if (scenario === undefined) throw new Error("there is no whole-c32");
const each = Number(values.requests) / TENTHS;
const home = await mkdtemp(join(tmpdir(), "cortex-bench-slope-"));
const pins = pinning(cpus().length);
const stub = await startScript([here("stub-neuron.ts")], pins?.rest);
const place = { home, neuronPort: stub.port, core: pins?.system };
/** In the gateway: at SIGUSR2 it collects all that it can, and tells what is left, in MiB. */
const COLLECTOR = `
import { writeFileSync } from "node:fs";
process.on("SIGUSR2", () => {
  for (let time = 0; time < 3; time += 1) globalThis.gc();
  const { heapUsed, external } = process.memoryUsage();
  writeFileSync(process.env.BENCH_LIVE, String((heapUsed + external) / 1024 / 1024));
});`;
const liveFile = join(home, "live");
process.env["BENCH_LIVE"] = liveFile;
const flags = ["--expose-gc", `--import=data:text/javascript,${encodeURIComponent(COLLECTOR)}`];
const gateway = await startCortex({ name: "cortex", checkout: here("../.."), flags, options: [] }, place);

async function liveMib(): Promise<number> {
  await writeFile(liveFile, "");
  gateway.process.kill("SIGUSR2");
  for (;;) {
    const told = await readFile(liveFile, "utf8");
    if (told !== "") return Number(told);
    await new Promise((done) => setTimeout(done, 20));
  }
}

const row = (requests: number, resident: number, live: number): string =>
  `${String(requests).padStart(8)} ${resident.toFixed(1).padStart(12)} ${live.toFixed(2).padStart(12)}`;
const kibPerThousand = (mibs: readonly number[]): string =>
  ((slopeOf(mibs.slice(TENTHS / 2)) * 1024 * 1000) / each).toFixed(2);

try {
  const lines = [
    `${cpus()[0]?.model.trim()}, ${cpus().length} cores, Node ${process.version}, load average ${loadavg()[0]?.toFixed(1)}; whole answers, 32 at a time`,
    `requests      RSS MiB     live MiB`,
    row(0, residentMib(gateway), await liveMib()),
  ];
  const resident: number[] = [];
  const live: number[] = [];
  for (let tenth = 1; tenth <= TENTHS; tenth += 1) {
    const load = { port: gateway.port, connections: scenario.connections, requests: each };
    await sendLoad({ ...load, body: bodyOf(scenario), secret: SECRET });
    resident.push(residentMib(gateway));
    live.push(await liveMib());
    lines.push(row(tenth * each, resident.at(-1) ?? 0, live.at(-1) ?? 0));
    console.log(lines.at(-1));
  }
  lines.push(
    `slope of the second half: RSS ${kibPerThousand(resident)}, live ${kibPerThousand(live)} KiB for a thousand requests`,
  );
  console.log(lines.at(-1));
  if (values.write) await writeFile(here("slope.txt"), `${lines.join("\n")}\n`);
} finally {
  for (const { process: child } of [gateway, stub]) {
    await endProcess(child);
  }
  await rm(home, { recursive: true, force: true });
}
