import { readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { AGENTS, type Agent } from "./agents.ts";
import { installAgent } from "./install-agent.ts";
import { installOpenWebUi, OPEN_WEBUI, runOpenWebUi } from "./open-webui.ts";
import { installSdks, PYTHON_SDKS, runPythonSdks } from "./python-sdks.ts";
import { runTrial, type Trial, type TrialResult } from "./run-agent.ts";
import { runColdSdks } from "./sdk-cold.ts";
import { triedSchema, type Tried } from "./tried.ts";

const TRIED = new URL("tried.json", import.meta.url);
const TRIALS: readonly Trial[] = ["session", "cold", "cut", "demo"];
const SHORT_LOAD_SECS = 12;
/** As long as a large model takes from a disk; several clients give up on silence of 120 s, none on this. */
const LONG_LOAD_SECS = 90;

/** Agents whose prompt does not fit may shorten it and ask again, for ever. */
const DEMO_SECS = 60;
/** A prompt of ten thousand tokens takes two cores a minute or two. */
const WIDE_DEMO_SECS = 300;

const timeoutOf = (trial: Trial, agent: Agent, loadSecs: number): number => {
  if (trial !== "demo") return loadSecs + 180;
  return agent.demoContext === undefined ? DEMO_SECS : WIDE_DEMO_SECS;
};

/** Sets of SDKs, and a server with a page, beside the agents. */
const SDKS = ["sdk-python", "sdk-cold", "open-webui"];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    into: { type: "string", default: join(tmpdir(), "cortex-clients") },
    trial: { type: "string", multiple: true },
    long: { type: "boolean", default: false },
    record: { type: "boolean", default: false },
  },
});

const say = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

function chosen(): readonly (readonly [string, Agent])[] {
  const all = Object.entries(AGENTS);
  if (positionals.length > 0 && positionals.every((name) => SDKS.includes(name))) return [];
  if (positionals.includes("all")) return all;
  const found = all.filter(([name]) => positionals.includes(name));
  if (found.length > 0 && found.length === positionals.length) return found;
  say(`usage: test/clients/run CLIENT... [--trial ${TRIALS.join("|")}] [--long] [--record] [--into DIR]`);
  say(`clients: ${Object.keys(AGENTS).join(", ")}, sdk-python, sdk-cold, open-webui, all`);
  return process.exit(64);
}

const key = (one: { readonly client: string; readonly trial: string }) => `${one.client} ${one.trial}`;

/** Keeps what was seen for docs/clients-tried.md: of each client and trial the latest. */
function record(entry: Tried[number]): void {
  const tried = triedSchema.parse(JSON.parse(readFileSync(TRIED, "utf8")));
  const others = tried.filter((one) => key(one) !== key(entry));
  const sorted = [...others, entry].toSorted((one, other) => (key(one) < key(other) ? -1 : 1));
  writeFileSync(TRIED, `${JSON.stringify(sorted, undefined, 2)}\n`);
}

function entryOf(
  name: string,
  agent: Agent,
  result: TrialResult & { readonly loadSecs: number },
): Tried[number] {
  const { trial, passed, seen, requests, seconds, loadSecs } = result;
  return {
    client: name,
    package: agent.package.name,
    version: agent.package.version,
    dialect: agent.dialect,
    trial,
    passed,
    // What a failure said may name folders of this machine; of the demo only counts are said.
    seen: passed || trial === "demo" ? seen : "failed",
    requests,
    seconds,
    ...(trial === "cold" ? { load_secs: loadSecs } : {}),
  };
}

let failures = 0;
for (const [name, agent] of chosen()) {
  say(`${name} ${agent.package.version}: installing`);
  const binary = await installAgent(name, agent, values.into);
  const trials = TRIALS.filter((trial) => values.trial === undefined || values.trial.includes(trial));
  for (const trial of trials) {
    const loadSecs = values.long ? LONG_LOAD_SECS : SHORT_LOAD_SECS;
    const result = await runTrial(agent, {
      trial,
      binary,
      loadSecs,
      timeoutSecs: timeoutOf(trial, agent, loadSecs),
    });
    if (!result.passed) failures += 1;
    if (values.record) record(entryOf(name, agent, { ...result, loadSecs }));
    process.stdout.write(`${JSON.stringify({ client: name, version: agent.package.version, ...result })}\n`);
  }
}
if (positionals.some((name) => name === "sdk-python" || name === "all")) {
  say("sdk-python: installing");
  const { checks, seconds } = await runPythonSdks(values.into);
  for (const one of checks) {
    if (!one.passed) failures += 1;
    process.stdout.write(`${JSON.stringify({ client: "sdk-python", ...one })}\n`);
  }
  for (const { name, version, dialect, mine } of PYTHON_SDKS) {
    const own = checks.filter(({ check }) => mine.test(check));
    const passed = own.length > 0 && own.every((one) => one.passed);
    const seen = passed ? own.map(({ check }) => check.replace(/^\w+: /, "")).join("; ") : "failed";
    if (!values.record) continue;
    record({
      client: `${name} (Python)`,
      package: name,
      version,
      dialect,
      trial: "sdk",
      passed,
      seen,
      requests: own.length,
      seconds,
    });
  }
}
if (positionals.some((name) => name === "sdk-cold" || name === "all")) {
  const loadSecs = values.long ? LONG_LOAD_SECS : SHORT_LOAD_SECS;
  say("sdk-cold: installing");
  for (const { client, ...check } of await runColdSdks(loadSecs, await installSdks(values.into))) {
    if (!check.passed) failures += 1;
    process.stdout.write(`${JSON.stringify({ client, ...check })}\n`);
    const { seen, ...told } = check;
    const entry = { ...told, trial: `cold ${check.dialect}`, requests: 2, load_secs: loadSecs };
    if (values.record) record({ client, ...entry, seen: check.passed ? seen : "failed" });
  }
}
if (positionals.some((name) => name === "open-webui" || name === "all")) {
  const loadSecs = values.long ? LONG_LOAD_SECS : SHORT_LOAD_SECS;
  say("open-webui: installing");
  const binary = await installOpenWebUi(values.into);
  for (const dialect of ["openai", "ollama"] as const) {
    const { passed, seen, seconds } = await runOpenWebUi(binary, dialect, loadSecs);
    if (!passed) failures += 1;
    const told = {
      client: "open-webui",
      package: OPEN_WEBUI.name,
      version: OPEN_WEBUI.version,
      dialect,
      passed,
    };
    process.stdout.write(`${JSON.stringify({ ...told, seen, seconds })}\n`);
    const entry = { ...told, seen: passed ? seen : "failed", requests: 2, seconds, load_secs: loadSecs };
    if (values.record) record({ ...entry, trial: `cold ${dialect}` });
  }
}
process.exitCode = failures === 0 ? 0 : 1;
