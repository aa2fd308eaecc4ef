import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  runRound,
  type RoundMemory,
  type RoundOptions,
} from "../../../src/controller/reconcile/io/reconcile-round.ts";
import type { Clock } from "../../../src/core/clock.ts";
import { systemClock } from "../../../src/platform/system-clock.ts";
import type { RoundOutcome } from "../../../src/controller/reconcile/round-outcome.ts";
import { git, temporaryDirectory } from "../../support/fleet/fleet-on-disk.ts";
import { ScriptedNeuron } from "../../support/neuron/scripted-neuron.ts";
import { observedNeuron, type NeuronFacts } from "../observed-fleet-builders.ts";

export const noMemory = (): RoundMemory => ({
  lastApplied: undefined,
  lastTrue: undefined,
  toldTrue: undefined,
  hasReadHistory: false,
  driftSeen: false,
  intervalMs: undefined,
});

export const operator = { user: "ann", host: "machine", pid: 4711, run_url: null };

/** The system's clock, by which it is now another time. */
export function clockAt(iso: string): Clock {
  const aheadMs = Date.parse(iso) - systemClock.nowMs();
  return { ...systemClock, nowMs: () => systemClock.nowMs() + aheadMs };
}

/** Rounds of the loop over a bare repository on disk and a scripted neuron. */
export async function roundBench(models: string, facts: NeuronFacts = { devices: [16_000] }) {
  const stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory());
  const neuron = stack.use(await ScriptedNeuron.start(observedNeuron("a", facts)));
  const [bare, clone] = [join(directory.path, "fleet.git"), join(directory.path, "clone")];
  await git(directory.path, "init", "--quiet", "--bare", "--initial-branch=main", bare);
  await git(directory.path, "clone", "--quiet", bare, clone);
  const head = `[fleet]\nname = "test"\n[gateway]\nlisten = "127.0.0.1:9"\nmetrics_listen = "127.0.0.1:10"\n[[neurons]]\nname = "a"\nendpoint = "${neuron.endpoint}"\n`;
  const push = async (text: string): Promise<string> => {
    await writeFile(join(clone, "fleet.toml"), head + text);
    await git(clone, "add", "--all");
    await git(clone, "commit", "--quiet", "--allow-empty", "--message", "change");
    await git(clone, "push", "--quiet", "origin", "HEAD:main");
    return git(clone, "rev-parse", "HEAD");
  };
  await push(models);
  const environment = {
    cortexVariables: {},
    inherited: {
      PATH: process.env["PATH"],
      HOME: "/nonexistent",
      CORTEX_DATA_DIR: join(directory.path, "data"),
    },
  };
  const memory = noMemory();
  const place = `git+file://${bare}#main:`;
  const round = async (given: Partial<RoundOptions> = {}, remembered = memory): Promise<RoundOutcome> =>
    runRound(
      {
        place,
        environment,
        operator,
        clock: systemClock,
        signatures: undefined,
        mode: undefined,
        neuronAccess: () => Promise.resolve({}),
        gatewayUrl: undefined,
        metricsUrl: undefined,
        apiKey: () => Promise.resolve(undefined),
        ...given,
      },
      remembered,
      new AbortController().signal,
    );
  return {
    neuron,
    environment,
    memory,
    place,
    bare,
    clone,
    push,
    round,
    /** The host is gone, for good. */
    loseHost: () => rm(bare, { recursive: true }),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
