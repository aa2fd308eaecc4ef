import { spawn, type ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { openSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { cpus, loadavg, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { sendLoad } from "./load.ts";

/*
 * What the gateway costs beside a bare relay of Node's own parts: processor time of its process for each request and
 * event, from /proc, in rounds that alternate. Keys, metering, metrics and the log (to a file) are on. Times that a
 * clock shows depend on what else the machine does; processor time hardly does. Build first (`npm run build`).
 *   node bench/gateway/run.ts [--rounds 5] [--only whole-c32,stream-40] [--beside NAME=CHECKOUT]... [--write] [--profile DIR]
 * `--beside`: another built checkout, in the same rounds. `--write`: keeps the table in results.txt. `--profile`: the
 * gateway's CPU profile is written there, and the numbers mean nothing.
 */

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    only: { type: "string" },
    beside: { type: "string", multiple: true, default: [] },
    write: { type: "boolean", default: false },
    profile: { type: "string" },
  },
});

const SECRET = "sk-bench";
const MODEL = "bench/demo";
const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const home = await mkdtemp(join(tmpdir(), "cortex-bench-gateway-"));

interface Scenario {
  readonly name: string;
  readonly what: string;
  readonly connections: number;
  readonly requests: number;
  /** Of a stream; 0: the answer is whole. */
  readonly events: number;
  readonly everyMs: number;
  readonly promptBytes: number;
}

const SCENARIOS: readonly Scenario[] = [
  {
    name: "whole-c1",
    what: "answers of 700 bytes, one at a time",
    connections: 1,
    requests: 2000,
    events: 0,
    everyMs: 0,
    promptBytes: 14,
  },
  {
    name: "whole-c32",
    what: "answers of 700 bytes, 32 at a time",
    connections: 32,
    requests: 8000,
    events: 0,
    everyMs: 0,
    promptBytes: 14,
  },
  {
    name: "stream-40",
    what: "streams of 40 events, body of 36 KB, 16 at a time",
    connections: 16,
    requests: 320,
    events: 40,
    everyMs: 4,
    promptBytes: 36_000,
  },
  {
    name: "streams-1000",
    what: "1,000 streams at 5 events a second",
    connections: 1000,
    requests: 1000,
    events: 20,
    everyMs: 200,
    promptBytes: 14,
  },
];

const WARM_UP: Scenario = {
  name: "warm-up",
  what: "",
  connections: 32,
  requests: 6000,
  events: 0,
  everyMs: 0,
  promptBytes: 14,
};

const bodyOf = ({ events, everyMs, promptBytes }: Scenario): string => {
  const content = "Say something. ".repeat(Math.ceil(promptBytes / 15)).slice(0, promptBytes);
  const messages = JSON.stringify([{ role: "user", content }]);
  const pace = events === 0 ? "" : `,"stream":true,"max_tokens":${events},"seed":${everyMs}`;
  return `{"model":"${MODEL}","messages":${messages}${pace}}`;
};

interface Relay {
  readonly name: string;
  readonly process: ChildProcess;
  readonly port: number;
}

const children: ChildProcess[] = [];

async function startScript(script: string, argv: readonly string[]): Promise<Omit<Relay, "name">> {
  const child = spawn(process.execPath, [script, ...argv], { stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  return { process: child, port: Number(line.toString()) };
}

async function startGateway(name: string, checkout: string, neuronPort: number): Promise<Relay> {
  const directory = join(home, name);
  await mkdir(directory);
  const hash = createHash("sha256").update(SECRET).digest("hex");
  const fleet = `[fleet]
name = "bench"
[gateway]
listen = "127.0.0.1:0"
metrics_listen = "127.0.0.1:0"
[[neurons]]
name = "stub"
endpoint = "http://127.0.0.1:${neuronPort}"
[[keys]]
id = "bench"
hash = "sha256:${hash}"
[[models]]
id = "${MODEL}"
source = "file:/nowhere/demo.gguf"
`;
  await writeFile(join(directory, "fleet.toml"), fleet);
  const log = join(home, `${name}.log`);
  const profiling = values.profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${values.profile}`];
  const argv = [...profiling, join(checkout, "bin/run.js"), "serve", "--config", directory];
  const child = spawn(process.execPath, argv, {
    stdio: ["ignore", "ignore", openSync(log, "w")],
    env: { ...process.env, CORTEX_DATA_DIR: join(home, `${name}.data`) },
  });
  children.push(child);
  for (;;) {
    const port = /"address":"http:\/\/127\.0\.0\.1:(\d+)"/.exec(readFileSync(log, "latin1"))?.[1];
    if (port !== undefined) return { name, process: child, port: Number(port) };
    if (child.exitCode !== null) throw new Error(readFileSync(log, "utf8"));
    await new Promise((done) => setTimeout(done, 20));
  }
}

const TICK_MS = 10;

function cpuMs(relay: Relay): number {
  const stat = readFileSync(`/proc/${relay.process.pid}/stat`, "latin1");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

const residentMib = (relay: Relay): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${relay.process.pid}/status`, "latin1"))?.[1]) / 1024;

const median = (numbers: readonly number[], share = 0.5): number =>
  numbers.toSorted((left, right) => left - right)[Math.floor(numbers.length * share)] ?? Number.NaN;

interface Cell {
  readonly cpuUs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly mib: number;
}

async function measure(relay: Relay, scenario: Scenario): Promise<Cell> {
  const { connections, requests } = scenario;
  const before = cpuMs(relay);
  const load = { port: relay.port, connections, requests, body: bodyOf(scenario), secret: SECRET };
  const latenciesMs = await sendLoad(load);
  const cpuUs = ((cpuMs(relay) - before) * 1000) / requests;
  const [p50Ms, p99Ms] = [median(latenciesMs), median(latenciesMs, 0.99)];
  return { cpuUs, p50Ms, p99Ms, mib: residentMib(relay) };
}

function tableOf(scenario: Scenario, cells: ReadonlyMap<string, readonly Cell[]>): string {
  const bareUs = median((cells.get("bare relay") ?? []).map(({ cpuUs }) => cpuUs));
  const rows = [...cells].map(([name, of]) => {
    const cpuUs = median(of.map((cell) => cell.cpuUs));
    const least = Math.min(...of.map((cell) => cell.cpuUs));
    const perEvent = scenario.events === 0 ? "-" : (cpuUs / scenario.events).toFixed(1);
    return [
      name.padEnd(14),
      cpuUs.toFixed(0).padStart(9),
      least.toFixed(0).padStart(9),
      (cpuUs / bareUs).toFixed(2).padStart(7),
      perEvent.padStart(9),
      median(of.map((cell) => cell.p50Ms))
        .toFixed(2)
        .padStart(9),
      median(of.map((cell) => cell.p99Ms))
        .toFixed(2)
        .padStart(9),
      (of.at(-1)?.mib ?? Number.NaN).toFixed(0).padStart(8),
    ].join(" ");
  });
  const head = "               CPU us/rq     least  x bare  us/event    p50 ms    p99 ms  RSS MiB";
  return `${scenario.name}: ${scenario.what}\n${head}\n${rows.join("\n")}\n`;
}

const wanted = values.only?.split(",");
const scenarios = SCENARIOS.filter(({ name }) => wanted === undefined || wanted.includes(name));
const rounds = Number(values.rounds);
try {
  const stub = await startScript(here("stub-neuron.ts"), []);
  const relays: Relay[] = [
    { name: "bare relay", ...(await startScript(here("bare-relay.ts"), [String(stub.port)])) },
    await startGateway("cortex", here("../.."), stub.port),
  ];
  for (const option of values.beside) {
    const [name = "", checkout = ""] = option.split("=");
    relays.push(await startGateway(name, resolve(checkout), stub.port));
  }
  const lines = [
    `${cpus()[0]?.model.trim()}, ${cpus().length} cores, Node ${process.version}, load average ${loadavg()[0]?.toFixed(1)}, medians of ${rounds} alternating rounds\n`,
  ];
  // The compilers have seen the work before anything counts.
  for (const relay of relays) await measure(relay, WARM_UP);
  for (const scenario of scenarios) {
    const cells = new Map<string, Cell[]>(relays.map(({ name }) => [name, []]));
    // Round 0 does not count.
    for (let round = 0; round <= rounds; round += 1) {
      for (const relay of relays) {
        const cell = await measure(relay, scenario);
        if (round > 0) cells.get(relay.name)?.push(cell);
      }
    }
    const table = tableOf(scenario, cells);
    lines.push(table);
    console.log(table);
  }
  if (values.write) await writeFile(here("results.txt"), lines.join("\n"));
} finally {
  for (const child of children.reverse()) {
    child.kill("SIGTERM");
    await once(child, "exit");
  }
  await rm(home, { recursive: true, force: true });
}
