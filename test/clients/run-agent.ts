import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { runCortex } from "../support/cortex-process.ts";
import { git, temporaryDirectory } from "../support/fleet/fleet-on-disk.ts";
import type { Agent, AgentSession } from "./agents.ts";
import { startDemoFleet } from "./demo-fleet.ts";
import { ScriptedModel, type ScriptedTurn } from "./scripted-model.ts";
import { SCRIPTED_MODEL, startScriptedFleet } from "./scripted-fleet.ts";

/**
 * `session`: two calls and an answer. `cold`: the same while the model loads. `cut`: the first answer breaks off.
 * `demo`: the demo model on the real engine, which is too small for most agents.
 */
export type Trial = "session" | "cold" | "cut" | "demo";

export interface TrialResult {
  readonly trial: Trial;
  readonly passed: boolean;
  /** What was seen, in words. */
  readonly seen: string;
  readonly seconds: number;
  readonly requests: number;
}

export interface TrialOptions {
  readonly trial: Trial;
  /** The agent's own program. */
  readonly binary: string;
  readonly loadSecs: number;
  readonly timeoutSecs: number;
}

interface Ended {
  readonly code: number | null;
  readonly output: string;
  readonly timedOut: boolean;
}

interface Task {
  readonly prompt: string;
  /** What the file holds when it is done, of an agent that changes files by what the model writes. */
  readonly written: string | null;
  /** What it has to say otherwise. */
  readonly word: string;
}

/** The word stands in the file alone: who says it has read the file. */
function taskOf(agent: Agent): Task {
  const word = `cortexo${randomBytes(4).toString("hex")}`;
  if (agent.writesFiles === true) {
    const prompt = "Say in hello.txt that the magic word is still the same.";
    return { prompt, written: `The magic word is ${word}, still.`, word };
  }
  const prompt = "Read the file hello.txt, list the files beside it, and tell me the magic word.";
  return { prompt, written: null, word };
}

async function makeProject(directory: string, { word }: Task): Promise<void> {
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, "hello.txt"), `The magic word is ${word}.\n`);
  await git(directory, "init", "--quiet", "--initial-branch=main");
  await git(directory, "add", "--all");
  await git(directory, "commit", "--quiet", "--message", "hello");
}

/** Drives one agent through one trial, in a home of its own, with the settings that `cortex connect` writes. */
export async function runTrial(agent: Agent, options: TrialOptions): Promise<TrialResult> {
  await using scratch = await temporaryDirectory();
  const home = join(scratch.path, "home");
  const directory = join(scratch.path, "work");
  const task = taskOf(agent);
  await mkdir(home, { recursive: true });
  await makeProject(directory, task);
  const place = { home, directory, prompt: task.prompt };
  const { trial } = options;
  if (trial === "demo") {
    await using demo = await startDemoFleet(agent.demoContext);
    const session = { ...place, gatewayUrl: demo.gatewayUrl, model: "cortex/demo" };
    const { ended, seconds } = await drive(agent, session, options);
    const judged = judgeDemo(ended, await demo.outcomes());
    const window = agent.demoContext === undefined ? "" : `with a window of ${agent.demoContext} tokens: `;
    return { trial, seconds, ...judged, seen: window + judged.seen };
  }
  const model = new ScriptedModel({
    directory,
    ...(task.written === null ? {} : { writes: { file: "hello.txt", text: task.written } }),
  });
  await using scripted = await startScriptedFleet(model, {
    loadMs: trial === "cold" ? options.loadSecs * 1000 : null,
    cuts: trial === "cut" ? 1 : 0,
  });
  const session = { ...place, gatewayUrl: scripted.gatewayUrl, model: SCRIPTED_MODEL };
  const { ended, seconds } = await drive(agent, session, options);
  const found =
    task.written === null
      ? ended.output.includes(agent.answersWith ?? task.word)
      : (await readFile(join(directory, "hello.txt"), "utf8")).includes(task.written);
  return { trial, seconds, ...judgeScripted(agent, { trial, ended, turns: model.turns, found }) };
}

async function drive(
  agent: Agent,
  session: AgentSession,
  options: TrialOptions,
): Promise<{ readonly ended: Ended; readonly seconds: number }> {
  await setUp(agent, session, options);
  const startedMs = performance.now();
  const ended = await runIn(session, agent, { ...options, commandLine: agent.commandLine(session) });
  const seconds = Math.round((performance.now() - startedMs) / 100) / 10;
  stopLeftovers(dirname(session.home));
  return { ended, seconds };
}

async function setUp(agent: Agent, session: AgentSession, options: TrialOptions): Promise<void> {
  for (const [path, text] of Object.entries(agent.files?.(session) ?? {})) {
    await mkdir(dirname(join(session.home, path)), { recursive: true });
    await writeFile(join(session.home, path), text);
  }
  if (agent.connects !== null) {
    const line = ["connect", agent.connects, "--gateway", session.gatewayUrl, "--model", session.model];
    const connected = await runCortex([...line, "--write", "--yes"], { environment: { HOME: session.home } });
    if (connected.code !== 0) throw new Error(`cortex connect failed: ${connected.stderr}`);
  }
  for (const commandLine of agent.prepare?.(session) ?? []) {
    await runIn(session, agent, { ...options, commandLine });
  }
}

function runIn(
  session: AgentSession,
  agent: Agent,
  { binary, commandLine, timeoutSecs }: TrialOptions & { readonly commandLine: readonly string[] },
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(binary, commandLine, {
      cwd: session.directory,
      stdio: ["ignore", "pipe", "pipe"],
      // A group of its own: what it starts ends with it.
      detached: true,
      env: {
        PATH: `${dirname(process.execPath)}:/usr/local/bin:/usr/bin:/bin`,
        HOME: session.home,
        LANG: "C.UTF-8",
        TERM: "dumb",
        NO_COLOR: "1",
        CI: "1",
        ...agent.environment?.(session),
      },
    });
    let output = "";
    const keep = (text: string) => {
      output += text;
    };
    child.stdout.setEncoding("utf8").on("data", keep);
    child.stderr.setEncoding("utf8").on("data", keep);
    let timedOut = false;
    const endGroup = () => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
      } catch {
        // It has ended.
      }
    };
    const timer = setTimeout(() => {
      timedOut = true;
      endGroup();
    }, timeoutSecs * 1000);
    child.once("error", reject);
    child.once("exit", (code) => {
      clearTimeout(timer);
      endGroup();
      resolve({ code, output, timedOut });
    });
  });
}

/** Some agents leave a daemon behind: those that name the trial's own folder are ended, and no others. */
function stopLeftovers(folder: string): void {
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry) || Number(entry) === process.pid) continue;
    try {
      if (readFileSync(`/proc/${entry}/cmdline`, "utf8").includes(folder))
        process.kill(Number(entry), "SIGTERM");
    } catch {
      // It has ended, or is somebody else's.
    }
  }
}

interface Judged {
  readonly passed: boolean;
  readonly seen: string;
  readonly requests: number;
}

interface ScriptedEnd {
  readonly trial: Trial;
  readonly ended: Ended;
  readonly turns: readonly ScriptedTurn[];
  readonly found: boolean;
}

function judgeScripted(agent: Agent, { trial, ended, turns, found }: ScriptedEnd): Judged {
  const requests = turns.length;
  const did = deedsOf(agent, turns);
  const hasCalled = agent.writesFiles === true || turns.some(({ kind }) => kind === "second-call");
  if (!ended.timedOut && ended.code === 0 && found && hasCalled) {
    return { passed: true, requests, seen: trial === "cut" ? `asked again; ${did}` : did };
  }
  // What counts is that half an answer was not taken for a whole one.
  if (trial === "cut" && !ended.timedOut && ended.code !== 0) {
    return { passed: true, requests, seen: `told the error and ended with exit code ${String(ended.code)}` };
  }
  const why = ended.timedOut ? "did not end in time" : `exit code ${String(ended.code)}`;
  const lack = found ? "" : "the word is missing; ";
  return { passed: false, requests, seen: `${why}; ${did}; ${lack}${tailOf(ended)}` };
}

function deedsOf(agent: Agent, turns: readonly ScriptedTurn[]): string {
  const calls = turns.flatMap(({ tool }) => (tool === null ? [] : [tool]));
  const streamed = turns.every((turn) => turn.streamed) ? "streamed" : "not all streamed";
  return `${agent.writesFiles === true ? "changed the file" : `called ${calls.join(", ")}`}; ${streamed}`;
}

const tailOf = ({ output }: Ended): string => output.trim().replaceAll(/\s+/g, " ").slice(-300);

/** No agent may hang, and every request has an outcome that the gateway knows. */
function judgeDemo(ended: Ended, outcomes: readonly string[]): Judged {
  const requests = outcomes.length;
  const end = ended.timedOut ? "went on asking until it was ended" : `exit code ${String(ended.code)}`;
  // Agents that were told how little the model holds do not ask at all.
  if (requests === 0) {
    const passed = !ended.timedOut && ended.code !== 0;
    return {
      passed,
      requests,
      seen: `refused its own prompt: larger than the window that it was told; ${end}`,
    };
  }
  const counts = [...Map.groupBy(outcomes, (outcome) => outcome)].map(
    ([outcome, same]) => `${same.length} ${outcome}`,
  );
  const isKnown = outcomes.every(
    (outcome) => outcome === "answered" || outcome === "context_length_exceeded",
  );
  return { passed: !ended.timedOut && isKnown, requests, seen: `${counts.join(", ")}; ${end}` };
}
