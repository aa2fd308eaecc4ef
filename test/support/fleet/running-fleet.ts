import { dirname, basename } from "node:path";
import { request } from "undici";
import { gatewayHealthSchema } from "../../../src/protocol/gateway-api.ts";
import { modelsResponseSchema, type ResidentModel } from "../../../src/protocol/neuron-api.ts";
import { CortexProcess, freePort, runCortex } from "../cortex-process.ts";
import { eventually } from "../eventually.ts";
import { commitFleet, fleetText, temporaryDirectory } from "./fleet-on-disk.ts";

export interface RunningFleet extends AsyncDisposable {
  /** The fleet repository. */
  readonly directory: string;
  readonly gatewayUrl: string;
  readonly metricsUrl: string;
  readonly neuronUrls: Readonly<Record<string, string>>;
  readonly neurons: Readonly<Record<string, CortexProcess>>;
  readonly gateway: CortexProcess;
  /** Starts the neuron again as it was started, once it has ended. */
  restartNeuron(name: string): Promise<CortexProcess>;
}

export interface RunningFleetOptions {
  readonly neuronNames: readonly string[];
  /** The GGUF that `source = "<file name>"` finds in every neuron's model store. */
  readonly modelPath: string;
  /** `[[models]]` blocks. */
  readonly models: string;
  /** Further flags of every neuron. */
  readonly neuronFlags?: readonly string[];
}

/** The store name of a model file. */
export const sourceOf = (modelPath: string): string => basename(modelPath, ".gguf");

/** Real neurons and a real gateway as processes of their own, over a real git repository; stopped with the test. */
export async function startFleet(options: RunningFleetOptions): Promise<RunningFleet> {
  const stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory());
  const [gatewayPort, metricsPort] = [await freePort(), await freePort()];
  const ports: Record<string, number> = {};
  for (const name of options.neuronNames) ports[name] = await freePort();
  await commitFleet(
    directory.path,
    fleetText({ gatewayPort, metricsPort, neurons: ports, models: options.models }),
  );
  const started = (commandLine: readonly string[]) => {
    const process = new CortexProcess(commandLine, {
      environment: {
        CORTEX_DATA_DIR: `${directory.path}/.data`,
        // What a killed neuron leaves behind must not outlive the tests by much.
        CORTEX_NEURON_WORKER_GRACE: "10",
      },
    });
    stack.defer(async () => {
      await process.stop("SIGTERM");
    });
    return process;
  };
  const neurons: Record<string, CortexProcess> = {};
  const startNeuron = (name: string) =>
    started([
      "neuron",
      "--port",
      String(ports[name]),
      "--model-root",
      dirname(options.modelPath),
      ...(options.neuronFlags ?? []),
    ]);
  for (const name of Object.keys(ports)) neurons[name] = startNeuron(name);
  const gateway = started(["serve", "--config", directory.path]);
  await Promise.all([...Object.values(neurons), gateway].map((process) => process.waitFor(/listening/)));
  const gatewayUrl = `http://127.0.0.1:${gatewayPort}`;
  // All processes start at once: the gateway may have asked a neuron that was not up yet.
  await eventually(async () => {
    const health = gatewayHealthSchema.parse(await (await request(`${gatewayUrl}/health`)).body.json());
    if (health.nodes.healthy < health.nodes.total) throw new Error(JSON.stringify(health));
  });
  return {
    directory: directory.path,
    gatewayUrl,
    metricsUrl: `http://127.0.0.1:${metricsPort}/metrics`,
    neuronUrls: Object.fromEntries(
      Object.entries(ports).map(([name, port]) => [name, `http://127.0.0.1:${port}`]),
    ),
    neurons,
    gateway,
    restartNeuron: async (name) => {
      const again = startNeuron(name);
      await again.waitFor(/listening/);
      return again;
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** `cortex apply --yes` on the fleet's repository; throws with its output when it fails. */
export async function applyFleet(fleet: RunningFleet): Promise<string> {
  const applied = await runCortex(["apply", "--config", fleet.directory, "--yes"]);
  if (applied.code !== 0) throw new Error(`apply failed\n${applied.stdout}\n${applied.stderr}`);
  return applied.stdout;
}

export async function residentModels(neuronUrl: string): Promise<readonly ResidentModel[]> {
  const response = await request(`${neuronUrl}/models`);
  return modelsResponseSchema.parse(await response.body.json()).models;
}

/** Process ids of all workers of the fleet. */
export async function workerPids(fleet: RunningFleet): Promise<readonly number[]> {
  const lists = await Promise.all(Object.values(fleet.neuronUrls).map(residentModels));
  return lists.flat().flatMap((model) => (model.pid === null ? [] : [model.pid]));
}
