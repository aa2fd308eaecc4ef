import { endProcess } from "../../test/support/end-process.ts";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { hashOfSecret } from "../../src/gateway/keys/key-ring.ts";
import { freePort } from "../../test/support/cortex-process.ts";
import { sendLoad } from "./load.ts";

/*
 * One gateway in one process and in several: processor time of a request by process, so that a busy machine disturbs
 * little. Linear to the cores is what costs a worker no more beside others, and its owner next to nothing. Build first.
 */

const SECRET = "sk-cortex-of-the-bench";
const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    workers: { type: "string", default: "2" },
    write: { type: "boolean", default: false },
  },
});

const children: ChildProcess[] = [];
const home = await mkdtemp(join(tmpdir(), "cortex-bench-"));

async function startStub(): Promise<number> {
  const child = spawn(process.execPath, [here("stub-neuron.ts")], { stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  return Number(line.toString());
}

interface Gateway {
  readonly name: string;
  readonly port: number;
  readonly pid: number;
}

async function startGateway(
  name: string,
  { stub, workers, limits }: { readonly stub: number; readonly workers: number; readonly limits: string },
): Promise<Gateway> {
  const directory = await mkdtemp(join(home, "fleet-"));
  const [port, metricsPort] = [await freePort(), await freePort()];
  await writeFile(
    join(directory, "fleet.toml"),
    `[fleet]\nname = "bench"\n[gateway]\nlisten = "127.0.0.1:${port}"\nmetrics_listen = "127.0.0.1:${metricsPort}"\n` +
      `[[neurons]]\nname = "stub"\nendpoint = "http://127.0.0.1:${stub}"\n[[models]]\nid = "bench/demo"\n` +
      `[[keys]]\nid = "bench"\nhash = "${hashOfSecret(SECRET)}"\n${limits}\n`,
  );
  const argv = [here("../../bin/run.js"), "serve", "--config", directory, "--workers", String(workers)];
  const child = spawn(process.execPath, argv, {
    stdio: ["ignore", "pipe", "ignore"],
    env: { ...process.env, CORTEX_DATA_DIR: directory },
  });
  children.push(child);
  await once(child.stdout, "data");
  return { name, port, pid: child.pid ?? 0 };
}

const TICK_MS = 10;
function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

const childrenOf = (pid: number): readonly number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").split(" ").filter(Boolean).map(Number);

const residentMib = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1]) / 1024;

const median = (numbers: readonly number[]): number =>
  numbers.toSorted((left, right) => left - right)[Math.floor(numbers.length / 2)] ?? Number.NaN;

const CONNECTIONS = 64;
const REQUESTS = 20_000;
const body = JSON.stringify({ model: "bench/demo", messages: [{ role: "user", content: "Say something." }] });

interface Cell {
  readonly ownUs: number;
  readonly workersUs: number;
  readonly perSec: number;
  /** Of all requests, what the busiest worker's processor time is beside the mean. */
  readonly fullest: number;
}

async function measure({ port, pid }: Gateway, requests: number): Promise<Cell> {
  const workers = childrenOf(pid);
  const before = [pid, ...workers].map(cpuMs);
  const startedMs = performance.now();
  await sendLoad({ port, connections: CONNECTIONS, requests, body, secret: SECRET });
  const perSec = (requests * 1000) / (performance.now() - startedMs);
  const spent = [pid, ...workers].map((each, index) => cpuMs(each) - (before[index] ?? 0));
  const [own = 0, ...byWorker] = spent;
  const sum = byWorker.reduce((total, ms) => total + ms, 0);
  return {
    ownUs: (own * 1000) / requests,
    workersUs: (sum * 1000) / requests,
    perSec,
    fullest: byWorker.length === 0 ? 1 : (Math.max(...byWorker) * byWorker.length) / sum,
  };
}

function rowOf(gateway: Gateway, cells: readonly Cell[], aloneUs: number): string {
  const ownUs = median(cells.map((cell) => cell.ownUs));
  const workersUs = median(cells.map((cell) => cell.workersUs));
  const memory = [gateway.pid, ...childrenOf(gateway.pid)]
    .map((pid) => residentMib(pid).toFixed(0))
    .join("+");
  return [
    gateway.name.padEnd(30),
    ownUs.toFixed(1).padStart(8),
    workersUs.toFixed(1).padStart(9),
    ((ownUs + workersUs) / aloneUs).toFixed(2).padStart(9),
    median(cells.map(({ fullest }) => fullest))
      .toFixed(2)
      .padStart(9),
    median(cells.map(({ perSec }) => perSec))
      .toFixed(0)
      .padStart(9),
    memory.padStart(15),
  ].join(" ");
}

try {
  const stub = await startStub();
  const several = Number(values.workers);
  const limited = "requests_per_minute = 100_000_000";
  const gateways = [
    await startGateway("one process", { stub, workers: 1, limits: "" }),
    await startGateway(`${several} workers`, { stub, workers: several, limits: "" }),
    await startGateway("one process, limited key", { stub, workers: 1, limits: limited }),
    await startGateway(`${several} workers, limited key`, { stub, workers: several, limits: limited }),
  ];
  const cells = new Map<Gateway, Cell[]>(gateways.map((gateway) => [gateway, []]));
  for (const gateway of gateways) await measure(gateway, REQUESTS / 2);
  for (let round = 0; round < Number(values.rounds); round += 1) {
    for (const gateway of gateways) cells.get(gateway)?.push(await measure(gateway, REQUESTS));
  }
  const [first] = gateways;
  const alone = median((first === undefined ? [] : (cells.get(first) ?? [])).map(({ ownUs }) => ownUs));
  const lines = [
    `${cpus()[0]?.model.trim()}, ${cpus().length} cores, Node ${process.version}, load average ${loadavg()[0]?.toFixed(1)}, medians of ${values.rounds} alternating rounds`,
    `${REQUESTS} whole answers of 700 bytes over ${CONNECTIONS} connections; generator and stub on the same cores\n`,
    "                           CPU us a request:  x of one   fullest  requests          memory",
    "                                  owner   workers   process    worker  a second     RSS of each",
    ...[...cells].map(([gateway, of]) => rowOf(gateway, of, alone)),
  ];
  const text = `${lines.join("\n")}\n`;
  console.log(text);
  if (values.write) await writeFile(here("workers-results.txt"), text);
} finally {
  for (const child of children.toReversed()) {
    await endProcess(child);
  }
  await rm(home, { recursive: true, force: true });
}
