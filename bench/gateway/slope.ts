import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { sendLoad } from "./load.ts";
import { bodyOf, SCENARIOS } from "./scenarios.ts";
import { pinning, residentMib, SECRET, startCortex, startScript } from "./systems.ts";

/*
 * Whether the gateway's memory grows: a million whole answers, 32 at a time, and what the process takes after each tenth.
 * The slope is that of a line through the second half, in KiB for a thousand requests. Build first (`npm run build`).
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
const gateway = await startCortex({ name: "cortex", checkout: here("../.."), flags: [], options: [] }, place);
try {
  const lines = [
    `${cpus()[0]?.model.trim()}, ${cpus().length} cores, Node ${process.version}, load average ${loadavg()[0]?.toFixed(1)}; whole answers, 32 at a time`,
    `requests      RSS MiB`,
    `${"0".padStart(8)} ${residentMib(gateway).toFixed(1).padStart(12)}`,
  ];
  const mibs: number[] = [];
  for (let tenth = 1; tenth <= TENTHS; tenth += 1) {
    const load = { port: gateway.port, connections: scenario.connections, requests: each };
    await sendLoad({ ...load, body: bodyOf(scenario), secret: SECRET });
    mibs.push(residentMib(gateway));
    lines.push(`${String(tenth * each).padStart(8)} ${(mibs.at(-1) ?? 0).toFixed(1).padStart(12)}`);
    console.log(lines.at(-1));
  }
  const kibPerThousand = (slopeOf(mibs.slice(TENTHS / 2)) * 1024 * 1000) / each;
  lines.push(`slope of the second half: ${kibPerThousand.toFixed(2)} KiB for a thousand requests`);
  console.log(lines.at(-1));
  if (values.write) await writeFile(here("slope.txt"), `${lines.join("\n")}\n`);
} finally {
  for (const { process: child } of [gateway, stub]) {
    child.kill("SIGTERM");
    if (child.exitCode === null) await once(child, "exit");
  }
  await rm(home, { recursive: true, force: true });
}
