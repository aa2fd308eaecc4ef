import { endProcess } from "../../test/support/end-process.ts";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeTinyGguf } from "../../test/support/neuron/gguf-writer.ts";

/*
 * A neuron with two loaded models is ended and started again, as the built command line does it (`npm run build` first):
 * killed, and handed over as an upgrade does. How long from the start of the new process to its first whole answer, and
 * whether the workers are the same processes. Beside it a start that has to load the two.
 */

const RUNS = 3;
const MODELS = ["one", "two"];
const bin = fileURLToPath(new URL("../../bin/run.js", import.meta.url));
const port = 13_931;
const base = `http://127.0.0.1:${port}`;
const home = await mkdtemp(join(tmpdir(), "cortex-restart-"));

async function start(): Promise<ChildProcess> {
  const child = spawn(process.execPath, [bin, "neuron", "--port", String(port), "--log-level", "warn"], {
    env: { ...process.env, CORTEX_DATA_DIR: home },
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child, "spawn");
  return child;
}

const post = (path: string, body: unknown): Promise<Response> =>
  fetch(base + path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });

const answers = async (model: string): Promise<boolean> => {
  const body = { model, messages: [{ role: "user", content: "hi" }], max_tokens: 1 };
  const response = await post("/v1/chat/completions", body).catch(() => null);
  await response?.text();
  return response?.status === 200;
};

async function untilAllAnswer(): Promise<number> {
  const startedMs = performance.now();
  for (const model of MODELS)
    while (!(await answers(model))) await new Promise((done) => setTimeout(done, 5));
  return performance.now() - startedMs;
}

async function pids(): Promise<string> {
  const { models } = (await (await fetch(`${base}/models`)).json()) as { models: { pid: number }[] };
  return models.map(({ pid }) => pid).join();
}

async function restarted(signal: NodeJS.Signals, running: ChildProcess) {
  const before = await pids();
  await endProcess(running, signal);
  const startedMs = performance.now();
  const child = await start();
  await untilAllAnswer();
  return { child, ms: performance.now() - startedMs, same: (await pids()) === before };
}

try {
  const store = join(home, "models");
  await mkdir(store, { recursive: true });
  for (const model of MODELS) await writeFile(join(store, `${model}.gguf`), writeTinyGguf());
  console.log(
    `${cpus()[0]?.model.trim()}, Node ${process.version}, load average ${loadavg()[0]?.toFixed(1)}`,
  );
  console.log("the neuron before            to the first answers ms  same workers");
  let child = await start();
  await untilUp();
  for (const model of MODELS) await post("/models/load?wait=1", { model_id: model, context: 512 });
  for (const [name, signal] of [
    ["was killed (SIGKILL)", "SIGKILL"],
    ["handed over (SIGUSR2)", "SIGUSR2"],
    ["ended its models (SIGTERM)", "SIGTERM"],
  ] as const) {
    const runs: number[] = [];
    let same = true;
    for (let run = 0; run < RUNS; run += 1) {
      const next = await restarted(signal, child);
      ({ child } = next);
      runs.push(next.ms);
      same &&= next.same;
    }
    const median = runs.toSorted((left, right) => left - right)[Math.floor(RUNS / 2)] ?? Number.NaN;
    console.log(`${name.padEnd(28)} ${median.toFixed(0).padStart(23)}  ${same ? "yes" : "no"}`);
    if (signal !== "SIGTERM" && !same) process.exitCode = 1;
  }
  await endProcess(child);
} finally {
  await rm(home, { recursive: true, force: true });
}

async function untilUp(): Promise<void> {
  while ((await fetch(`${base}/health`).catch(() => null)) === null)
    await new Promise((done) => setTimeout(done, 5));
}
