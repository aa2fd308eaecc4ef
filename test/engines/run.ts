import { endProcess } from "../support/end-process.ts";
import { spawn, type ChildProcess } from "node:child_process";
import { copyFile, mkdir, mkdtemp, rm } from "node:fs/promises";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

/*
 * Engines of others behind a real neuron, which starts them, asks them, loses them and takes them over (build first:
 * `npm run build`). Nothing here runs by itself: the engines are not part of this repository.
 *
 *   node test/engines/run.ts [--llama-server PATH] [--python PATH: one with llama-cpp-python[server]]
 */

const { values } = parseArgs({ options: { "llama-server": { type: "string" }, python: { type: "string" } } });
const MODEL = "cortex/demo";
const root = fileURLToPath(new URL("../..", import.meta.url));
const port = 13_941;
const base = `http://127.0.0.1:${port}`;
const home = await mkdtemp(join(tmpdir(), "cortex-engines-"));
const file = join(home, "demo.gguf");
const POLL_MS = 20;
const PATIENCE_MS = 120_000;

interface Engine {
  readonly name: string;
  readonly program: string;
  readonly command: readonly string[];
}

const given = (program: string | undefined, name: string, args: readonly string[]): Engine[] =>
  program === undefined ? [] : [{ name, program, command: [program, ...args] }];
const WHERE = ["--host", "127.0.0.1", "--port", "${PORT}"];
const engines = [
  ...given(values["llama-server"], "llama-server", [
    "-m",
    file,
    "--alias",
    MODEL,
    ...WHERE,
    "-np",
    "2",
    "-c",
    "2048",
  ]),
  ...given(values.python, "llama_cpp.server", [
    "-m",
    "llama_cpp.server",
    "--model",
    file,
    "--model_alias",
    MODEL,
    ...WHERE,
    "--n_ctx",
    "1024",
  ]),
];

interface Answer {
  readonly status: number;
  readonly text: string;
}

async function ask(path: string, body?: unknown): Promise<Answer> {
  const headers = { "content-type": "application/json" };
  const request = body === undefined ? {} : { method: "POST", headers, body: JSON.stringify(body) };
  const response = await fetch(base + path, request);
  return { status: response.status, text: await response.text() };
}

const chat = (changes: object = {}): Promise<Answer> =>
  ask("/v1/chat/completions", {
    model: MODEL,
    messages: [{ role: "user", content: "What is cortex?" }],
    max_tokens: 8,
    ...changes,
  });

async function eventually(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const endMs = performance.now() + PATIENCE_MS;
  while (!(await isSo().catch(() => false))) {
    if (performance.now() > endMs) throw new Error(`not within ${PATIENCE_MS / 1000} s: ${what}`);
    await new Promise((done) => setTimeout(done, POLL_MS));
  }
}

function expect(isSo: boolean, what: string, { status, text }: Answer): void {
  if (!isSo) throw new Error(`${what}: HTTP ${status} ${text.slice(0, 300)}`);
}

async function startNeuron(engine: Engine): Promise<ChildProcess> {
  const args = ["neuron", "--port", String(port), "--engine", engine.program, "--log-level", "error"];
  const child = spawn(process.execPath, [join(root, "bin/run.js"), ...args], {
    env: { ...process.env, CORTEX_DATA_DIR: home },
    stdio: ["ignore", "ignore", "inherit"],
  });
  await eventually("the neuron answers", async () => (await ask("/health")).status === 200);
  return child;
}

interface Held {
  readonly models: readonly { readonly pid: number | null; readonly phase?: string }[];
}

const held = async (): Promise<Held> => JSON.parse((await ask("/models")).text) as Held;
const enginePid = async (): Promise<number> => (await held()).models[0]?.pid ?? 0;
const isServing = async (): Promise<boolean> => (await chat()).status === 200;
const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

/** What a neuron does with each engine, in turn; each step throws where it does not. */
const STEPS: Readonly<
  Record<string, (run: { neuron: ChildProcess; readonly engine: Engine }) => Promise<string>>
> = {
  load: async ({ engine }) => {
    const beganMs = performance.now();
    const spec = {
      model_id: MODEL,
      harness: "openai",
      command: engine.command,
      vram_mb: 200,
      context: 1024,
      parallel: 2,
    };
    const answer = await ask("/models/load?wait=1", spec);
    expect(answer.status === 200, "load", answer);
    return `${((performance.now() - beganMs) / 1000).toFixed(1)} s`;
  },
  chat: async () => {
    const answer = await chat();
    expect(answer.status === 200 && answer.text.includes('"content":"'), "chat", answer);
    return /"total_tokens": ?(\d+)/.exec(answer.text)?.[0] ?? "no usage";
  },
  stream: async () => {
    const answer = await chat({ stream: true, stream_options: { include_usage: true } });
    expect(answer.status === 200 && answer.text.trimEnd().endsWith("data: [DONE]"), "stream", answer);
    const events = answer.text.match(/^data:/gmu)?.length ?? 0;
    return `${events} events, ${answer.text.includes('"completion_tokens"') ? "usage told" : "no usage told"}`;
  },
  "beyond the context": async () => {
    const answer = await chat({ messages: [{ role: "user", content: "cortex ".repeat(5000) }] });
    expect(answer.status >= 400 && answer.status < 500, "a prompt beyond the context", answer);
    return `${answer.status} ${/"code": ?"([^"]+)"/.exec(answer.text)?.[1] ?? ""}`;
  },
  "a wrong parameter": async () => {
    const answer = await chat({ temperature: "hot" });
    // Some answer it with 500 themselves; what counts is that it is an error, and whose.
    expect(answer.status >= 400 && answer.text.includes("engine_"), "a wrong parameter", answer);
    return `${answer.status} ${/"code": ?"([^"]+)"/.exec(answer.text)?.[1] ?? ""}`;
  },
  "neuron killed": async (run) => {
    const before = await enginePid();
    await endProcess(run.neuron, "SIGKILL");
    run.neuron = await startNeuron(run.engine);
    await eventually("it serves again", isServing);
    const after = await enginePid();
    if (after !== before) throw new Error(`the engine was ${before} and is ${after}`);
    return "the same process";
  },
  "engine killed": async () => {
    const before = await enginePid();
    process.kill(-before, "SIGKILL");
    await eventually("it is loaded again", async () => (await enginePid()) !== before && (await isServing()));
    return "loaded again";
  },
  unload: async () => {
    const pid = await enginePid();
    const answer = await ask("/models/unload?wait=1", { model_id: MODEL });
    expect(answer.status === 200, "unload", answer);
    await eventually("its process is gone", () => Promise.resolve(!isAlive(pid)));
    return "its process is gone";
  },
};

async function tryEngine(engine: Engine): Promise<void> {
  console.log(`\n${engine.name}`);
  const run = { neuron: await startNeuron(engine), engine };
  try {
    for (const [step, take] of Object.entries(STEPS)) {
      const outcome = await take(run).catch((thrown: unknown) => {
        process.exitCode = 1;
        return `FAILED: ${String(thrown)}`;
      });
      console.log(`  ${step.padEnd(20)} ${outcome}`);
    }
  } finally {
    await endProcess(run.neuron);
  }
}

try {
  if (engines.length === 0) throw new Error("name an engine: --llama-server PATH, --python PATH");
  await mkdir(home, { recursive: true });
  await copyFile(join(root, "assets/demo/cortex-demo.gguf"), file);
  console.log(`${cpus()[0]?.model.trim()}, load ${loadavg()[0]?.toFixed(1)}, the demo model behind a neuron`);
  for (const engine of engines) await tryEngine(engine);
} finally {
  await rm(home, { recursive: true, force: true });
}
