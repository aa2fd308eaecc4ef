import { join } from "node:path";
import type { Clock } from "../../core/clock.ts";
import { parseHostAndPort } from "../../core/addresses.ts";
import { CortexError } from "../../core/errors.ts";
import { applyPlan } from "../../controller/apply/io/apply-plan.ts";
import { type LoadedFleet, loadFleet } from "../../repository/io/load-fleet.ts";
import { observeFleet } from "../../controller/observe/io/observe-fleet.ts";
import { planFleet } from "../../controller/plan/plan-fleet.ts";
import { startGateway } from "../../gateway/io/start-gateway.ts";
import type { SimulationConfig } from "../../neuron/io/simulation.ts";
import { startNeuron, type RunningNeuron } from "../../neuron/io/start-neuron.ts";
import { scriptOfNeuron, type FleetScript } from "../../neuron/machine/fault-script.ts";
import { parseSimulatedDevices } from "../../neuron/machine/simulated-devices.ts";
import type { Environment } from "../../platform/environment.ts";
import type { Logger } from "../../platform/logger.ts";
import { followFiles } from "../../platform/follow-files.ts";
import { gitSha, packageVersion, shippedModelsDirectory } from "../../platform/package-paths.ts";
import type { ApplyEvent } from "../../protocol/apply-events.ts";
import type { DemoEvent } from "../../protocol/demo-events.ts";
import { DEMO_MODEL_ID, DEMO_MODEL_SOURCE, demoFleetFiles, type DemoPorts } from "../demo-fleet.ts";
import { simulatedFleetFiles, type SimulatedNeuron } from "../simulated-fleet.ts";
import { SAMPLE_QUESTIONS } from "../../client/sample-questions.ts";
import { askOnce } from "../../client/io/ask-once.ts";
import { ensureDemoRepository } from "./demo-repository.ts";

export interface DemoOptions {
  /** The demo fleet repository; made when empty, used as it is when not. */
  readonly directory: string;
  /** For a repository that is made now. */
  readonly ports: DemoPorts;
  /** Machines that are not there, in the place of this one. */
  readonly simulated?: readonly SimulatedNeuron[] | undefined;
  /** What goes wrong on them. What fails because of it is told, and the fleet stays up. */
  readonly script?: FleetScript | undefined;
}

export interface DemoDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly environment: Environment;
  readonly onEvent: (event: DemoEvent) => void;
  /** Aborted: give up what is under way. */
  readonly signal: AbortSignal;
}

export interface RunningDemo {
  readonly baseUrl: string;
  readonly metricsUrl: string;
  close(): Promise<void>;
}

/**
 * The whole loop on one machine: repository, neuron, gateway, plan, apply, one chat, one tool call. Everything runs
 * in this process but the model workers, and everything that was started is stopped again when a step fails.
 */
export async function runDemo(options: DemoOptions, deps: DemoDeps): Promise<RunningDemo> {
  const { simulated, ports, script } = options;
  requireKnownNeurons(script, simulated ?? []);
  const files = simulated === undefined ? demoFleetFiles(ports) : simulatedFleetFiles(ports, simulated);
  const { created } = await ensureDemoRepository(options.directory, files);
  deps.onEvent({ type: "repository", directory: options.directory, created });
  const read = () =>
    loadFleet({
      path: options.directory,
      environmentOverrides: deps.environment.cortexVariables,
      inherited: deps.environment.inherited,
    });
  const loaded = await read();
  const stack = new AsyncDisposableStack();
  try {
    const endpoints = await startProcesses(
      stack,
      { directory: options.directory, read, loaded, simulated, script },
      deps,
    );
    const isExpectedToFail = script !== undefined;
    await carryOn(() => applyDeclared(loaded, deps), { isExpectedToFail, deps });
    await carryOn(() => converse(endpoints.baseUrl, deps), { isExpectedToFail, deps });
    return { ...endpoints, close: () => stack.disposeAsync() };
  } catch (thrown) {
    await stack.disposeAsync();
    throw thrown;
  }
}

/** A fault that the script wants is what its author came to see. */
async function carryOn(
  step: () => Promise<void>,
  { isExpectedToFail, deps }: { readonly isExpectedToFail: boolean; readonly deps: DemoDeps },
): Promise<void> {
  try {
    await step();
  } catch (thrown) {
    deps.signal.throwIfAborted();
    if (!isExpectedToFail || !(thrown instanceof CortexError)) throw thrown;
    const { code, message, next } = thrown;
    deps.onEvent({ type: "failed", error: { code, message, next } });
  }
}

function requireKnownNeurons(script: FleetScript | undefined, simulated: readonly SimulatedNeuron[]): void {
  const names = simulated.map(({ name }) => name);
  const unknown = Object.keys(script?.neurons ?? {}).find((name) => !names.includes(name));
  if (unknown === undefined) return;
  throw new CortexError(
    "usage_error",
    `the script has neurons.${unknown}, and the fleet has ${names.join(", ")}`,
  );
}

interface DemoFleet {
  readonly directory: string;
  readonly read: () => Promise<LoadedFleet>;
  readonly loaded: LoadedFleet;
  readonly simulated: readonly SimulatedNeuron[] | undefined;
  readonly script: FleetScript | undefined;
}

async function startProcesses(stack: AsyncDisposableStack, demo: DemoFleet, deps: DemoDeps) {
  const { fleet } = demo.loaded;
  const { clock, logger } = deps;
  if (demo.simulated === undefined && fleet.neurons.length !== 1) {
    throw new CortexError(
      "usage_error",
      `\`cortex up\` runs one neuron; this fleet declares ${fleet.neurons.length}`,
      {
        next: "run `cortex neuron` on each machine and `cortex serve` for the gateway instead",
      },
    );
  }
  const devices: string[] = [];
  for (const declared of fleet.neurons) {
    const neuron = await startDemoNeuron(declared, demo, deps);
    stack.defer(() => neuron.close());
    const names = neuron.discovery.devices.map(({ name }) => name);
    devices.push(
      ...(demo.simulated === undefined ? names : names.map((name) => `${declared.name}: ${name}, simulated`)),
    );
  }
  const gateway = await startGateway(
    {
      ...declaredIn(demo.loaded),
      listen: parseHostAndPort(fleet.gateway.listen),
      metricsListen: parseHostAndPort(fleet.gateway.metrics_listen),
      build: { packageVersion: packageVersion(), gitSha: gitSha() },
    },
    { clock, logger },
  );
  // Its owner edits the files, and expects what `cortex serve` does. SIGHUP is left alone: the terminal goes.
  const following = followFiles({
    path: demo.directory,
    first: fleet,
    logger,
    read: demo.read,
    take: (next) => gateway.reload(declaredIn(next)),
  });
  stack.defer(following.close);
  // Closed first: clients hear from the gateway that it ends, not from a neuron that is gone.
  stack.defer(() => gateway.close());
  const metricsUrl = `${gateway.metricsAddress}/metrics`;
  deps.onEvent({ type: "started", gateway: gateway.address, metrics: metricsUrl, devices });
  return { baseUrl: gateway.address, metricsUrl };
}

/** With the repository: else the copies that this fleet's own revision declares would be another fleet's to the gateway. */
const declaredIn = ({ fleet, overridden, revision }: LoadedFleet) => ({
  fleet,
  overridden,
  repository: revision.repository,
});

// oxlint-disable-next-line max-params -- which, on what, with what
async function startDemoNeuron(
  { name, endpoint }: LoadedFleet["fleet"]["neurons"][number],
  { simulated, script }: DemoFleet,
  { clock, logger, environment }: DemoDeps,
): Promise<RunningNeuron> {
  const { hostname, port } = new URL(endpoint);
  const modelRoots = [join(environment.dataDirectory, "models"), shippedModelsDirectory()];
  const simulation = simulated === undefined ? undefined : simulationOf(name, simulated, script);
  return startNeuron(
    { host: hostname, port: Number(port), modelRoots, simulation, gitSha: gitSha() },
    { clock, logger },
  );
}

// oxlint-disable-next-line max-params -- whose, among whom, and what goes wrong there
function simulationOf(
  name: string,
  simulated: readonly SimulatedNeuron[],
  script: FleetScript | undefined,
): SimulationConfig {
  const known = simulated.find((neuron) => neuron.name === name);
  if (known === undefined) {
    const names = simulated.map((neuron) => neuron.name).join(", ");
    throw new CortexError("usage_error", `${name} is not in the simulated fleet, which has ${names}`, {
      next: "take the neuron out of the fleet files, or choose another --directory",
    });
  }
  const devices = parseSimulatedDevices(known.devices);
  if (!devices.ok) throw devices.error;
  return {
    devices: devices.value,
    standIn: DEMO_MODEL_SOURCE,
    ...(script === undefined ? {} : { script: scriptOfNeuron(script, name) }),
  };
}

async function applyDeclared(loaded: LoadedFleet, deps: DemoDeps): Promise<void> {
  const { clock, signal } = deps;
  const { fleet, digest: fleetDigest, revision } = loaded;
  const owner = { name: fleet.fleet.name, repository: revision.repository };
  const observed = await observeFleet(fleet, { clock, owner });
  const plan = planFleet({ fleet, fleetDigest, revision, observed });
  deps.onEvent({ type: "plan", plan });
  const onEvent = (event: ApplyEvent) => {
    deps.onEvent({ type: "apply", event });
  };
  const result = await applyPlan(plan, { clock, onEvent, signal });
  signal.throwIfAborted();
  const [failure] = result.failed;
  if (failure === undefined) return;
  throw new CortexError("apply_failed", `${failure.step}: ${failure.error.message}`, {
    next: failure.error.next,
    details: { cause_code: failure.error.code },
  });
}

async function converse(baseUrl: string, deps: DemoDeps): Promise<void> {
  for (const { question, tools, request } of SAMPLE_QUESTIONS) {
    const body = request(DEMO_MODEL_ID);
    deps.onEvent({ type: "question", question, tools });
    const onText = (text: string) => {
      deps.onEvent({ type: "text", text });
    };
    const answer = await askOnce({ baseUrl, body, clock: deps.clock, signal: deps.signal, onText });
    deps.onEvent({ type: "answer", answer });
  }
}
