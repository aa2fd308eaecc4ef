import { writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { usageReportSchema } from "../../src/protocol/gateway-api.ts";
import { CortexProcess, freePort, runCortex } from "../support/cortex-process.ts";
import { eventually } from "../support/eventually.ts";
import { commitFleet, fleetText, temporaryDirectory } from "../support/fleet/fleet-on-disk.ts";
import { residentModels, sourceOf } from "../support/fleet/running-fleet.ts";
import { tinyModelFile } from "../support/neuron/tiny-model.ts";
import { findRedisServer } from "../support/redis/find-redis-server.ts";
import { RedisServer } from "../support/redis/redis-server.ts";
import { COLD, filesOf, MODEL, SECRETS } from "./chaos-files.ts";
import { askAndJudge, TOKENS, type SeenAnswer } from "./chaos-client.ts";
import { UnrulyProxy, type Manner } from "./unruly-proxy.ts";

export interface GatewayChaosOptions {
  readonly gateways: number;
  readonly neurons: number;
  readonly clients: number;
  readonly seconds: number;
  readonly seed: number;
  readonly onProgress?: (line: string) => void;
}

type Deeds = Record<"worker" | "neuron" | "gateway" | "memory" | "cut" | Exclude<Manner, "fair">, number>;

export interface GatewayChaosFigures {
  readonly seed: number;
  readonly seconds: number;
  readonly ledger: "redis" | "file";
  readonly deeds: Readonly<Deeds>;
  readonly requests: number;
  readonly complete: number;
  /** The client's own gateway was killed under it: it has to ask another one. */
  readonly gatewayDied: number;
  readonly told: Readonly<Record<string, number>>;
  /** Of these: before anything of an answer had come, streamed or whole. */
  readonly toldBeforeFirstToken: Readonly<Record<string, number>>;
  readonly silent: number;
  readonly looksWholeAndIsNot: number;
  /** Neurons that hold the model that was asked for cold, by all gateways at once. */
  readonly copiesOfColdModel: number;
  readonly tokensReceived: number;
  readonly tokensCounted: number;
  /** What answers that broke off may differ by. */
  readonly tokensUnsure: number;
  readonly stillOutstanding: number;
}

/** Room for both models, and no more than somebody else may take at once. */
const DEVICE_MIB = 2048;
const FOREIGN_SECS = 6;

const isSimulated = (neuron: number): boolean => neuron % 2 === 1;

interface Judged extends SeenAnswer {
  readonly gatewayDied: boolean;
}

/** Several gateways with one ledger, neurons behind unruly connections, and somebody with a hand in everything. */
export async function runGatewayChaos(options: GatewayChaosOptions): Promise<GatewayChaosFigures> {
  await using stack = new AsyncDisposableStack();
  const fleet = await ChaosFleet.start(options, stack);
  const copiesOfColdModel = await fleet.askCold(60);
  options.onProgress?.(`asked cold: ${copiesOfColdModel} copies`);
  const answers = await fleet.askUnderChaos();
  const stillOutstanding = await fleet.outstandingAtTheEnd();
  // What it needs must not be taken away before.
  return await figuresOf(answers, fleet, { options, copiesOfColdModel, stillOutstanding });
}

class ChaosFleet {
  readonly deeds: Deeds = { worker: 0, neuron: 0, gateway: 0, memory: 0, cut: 0, lying: 0, slow: 0, hung: 0 };
  readonly ledger: "redis" | "file";
  coldAnswers: readonly Judged[] = [];
  readonly #options: GatewayChaosOptions;
  readonly #directory: string;
  readonly #modelRoot: string;
  readonly #neurons = new Map<number, { port: number; process: CortexProcess }>();
  readonly #proxies: UnrulyProxy[] = [];
  readonly #gateways: {
    readonly port: number;
    readonly metricsPort: number;
    process: CortexProcess;
    deaths: number;
  }[] = [];
  #state: number;

  private constructor(
    options: GatewayChaosOptions,
    made: { readonly directory: string; readonly modelRoot: string; readonly ledger: "redis" | "file" },
  ) {
    this.#options = options;
    this.#state = options.seed;
    this.#directory = made.directory;
    this.#modelRoot = made.modelRoot;
    this.ledger = made.ledger;
  }

  static async start(options: GatewayChaosOptions, stack: AsyncDisposableStack): Promise<ChaosFleet> {
    const directory = stack.use(await temporaryDirectory()).path;
    const modelPath = await tinyModelFile({ endOfText: "never", contextLength: 4096 });
    const found = await findRedisServer();
    const redis = found.kind === "found" ? await RedisServer.start(found.path) : null;
    stack.defer(() => redis?.stop());
    const made = {
      directory,
      modelRoot: dirname(modelPath),
      ledger: redis === null ? "file" : "redis",
    } as const;
    const fleet = new ChaosFleet(options, made);
    stack.defer(() => fleet.#stop());
    const proxyPorts: Record<string, number> = {};
    for (let index = 0; index < options.neurons; index += 1) {
      const [port, proxyPort] = [await freePort(), await freePort()];
      proxyPorts[`n${index}`] = proxyPort;
      fleet.#proxies.push(await UnrulyProxy.start(proxyPort, port));
      fleet.#neurons.set(index, { port, process: fleet.#neuronAt(index, port) });
    }
    const gatewayPorts = [await freePort(), await freePort()] as const;
    await commitFleet(
      directory,
      fleetText({
        gatewayPort: gatewayPorts[0],
        metricsPort: gatewayPorts[1],
        neurons: proxyPorts,
        models: filesOf(sourceOf(modelPath), { replicas: options.neurons, redisUrl: redis?.url }),
      }),
    );
    await Promise.all([...fleet.#neurons.values()].map(({ process }) => process.waitFor(/listening/)));
    const applied = await runCortex(["apply", "--config", directory, "--yes"], {
      environment: fleet.#environment,
    });
    if (applied.code !== 0) throw new Error(applied.stdout + applied.stderr);
    for (let index = 0; index < options.gateways; index += 1) {
      const [port, metricsPort] = [await freePort(), await freePort()];
      fleet.#gateways.push({ port, metricsPort, process: fleet.#gatewayAt(port, metricsPort), deaths: 0 });
    }
    await Promise.all(fleet.#gateways.map(({ process }) => process.waitFor(/listening/)));
    return fleet;
  }

  get #environment(): Readonly<Record<string, string>> {
    return { CORTEX_DATA_DIR: `${this.#directory}/.data`, CORTEX_NEURON_WORKER_GRACE: "10" };
  }

  /** Every other one has a simulated device, whose memory somebody else can take. */
  #neuronAt(index: number, port: number, script?: string): CortexProcess {
    const device = isSimulated(index) ? ["--simulate", `${DEVICE_MIB}MiB`] : [];
    const line = ["neuron", "--port", String(port), "--model-root", this.#modelRoot, ...device];
    if (script !== undefined) line.push("--script", script);
    // Each is a machine of its own.
    const environment = { ...this.#environment, CORTEX_DATA_DIR: `${this.#directory}/.data-${port}` };
    return new CortexProcess(line, { environment });
  }

  #gatewayAt(port: number, metricsPort: number): CortexProcess {
    const own = {
      CORTEX_GATEWAY__LISTEN: `127.0.0.1:${port}`,
      CORTEX_GATEWAY__METRICS_LISTEN: `127.0.0.1:${metricsPort}`,
    };
    return new CortexProcess(["serve", "--config", this.#directory, "--log-level", "error"], {
      environment: { ...this.#environment, ...own },
    });
  }

  /** All gateways are asked for a model that nobody has, at once; how many neurons hold it afterwards. */
  async askCold(requests: number): Promise<number> {
    this.coldAnswers = await Promise.all(
      Array.from({ length: requests }, (_, index) =>
        this.#ask({ turn: index, model: COLD, streamed: index % 2 === 0 }),
      ),
    );
    return this.#copiesOf(COLD);
  }

  async #copiesOf(model: string): Promise<number> {
    const held = await Promise.all(
      [...this.#neurons.values()].map(({ port }) => residentModels(`http://127.0.0.1:${port}`)),
    );
    return held.filter((models) => models.some(({ id }) => id === model)).length;
  }

  /** As behind a balancer: a gateway that refuses the connection is not asked. */
  async #ask(asked: {
    readonly turn: number;
    readonly model: string;
    readonly streamed: boolean;
  }): Promise<Judged> {
    const gateway = this.#gateways[asked.turn % this.#gateways.length];
    if (gateway === undefined) throw new Error("no gateway");
    const deathsBefore = gateway.deaths;
    const seen = await askAndJudge({
      url: `http://127.0.0.1:${gateway.port}`,
      nonce: String(asked.turn),
      apiKey: SECRETS.load,
      ...asked,
    });
    return { ...seen, gatewayDied: seen.outcome === "silent" && gateway.deaths > deathsBefore };
  }

  async askUnderChaos(): Promise<Judged[]> {
    const answers: Judged[] = [];
    const { seconds, clients, onProgress } = this.#options;
    const endsAtMs = performance.now() + seconds * 1000;
    const isOver = () => performance.now() >= endsAtMs;
    let turn = 0;
    const client = async (number: number): Promise<void> => {
      for (let count = 0; !isOver(); count += 1) {
        turn += 1;
        const gateway = this.#gateways[turn % this.#gateways.length];
        if (gateway?.deaths === undefined || this.#isDown.has(gateway.port)) {
          await sleep(5);
          continue;
        }
        answers.push(await this.#ask({ turn, model: MODEL, streamed: (number + count) % 2 === 0 }));
      }
    };
    const misdeeds = (async () => {
      while (!isOver()) {
        await this.#misdeed();
        onProgress?.(`${answers.length} answers, ${JSON.stringify(this.deeds)}`);
      }
    })();
    await Promise.all([misdeeds, ...Array.from({ length: clients }, (_, number) => client(number))]);
    return answers;
  }

  readonly #isDown = new Set<number>();

  /** One at a time, with a second between: another copy is always there for who comes meanwhile. */
  async #misdeed(): Promise<void> {
    const which = this.#dice(this.#proxies.length);
    const [proxy, neuron] = [this.#proxies[which], this.#neurons.get(which)];
    if (proxy === undefined || neuron === undefined) return;
    const deeds: readonly (() => Promise<void>)[] = [
      () => this.#killWorker(neuron.port),
      () => this.#killNeuron(which, neuron.port),
      () => this.#killGateway(),
      () => this.#takeMemory(which, neuron.port),
      async () => {
        this.deeds.cut += 1;
        proxy.cut();
        await Promise.resolve();
      },
      ...(["lying", "slow", "hung"] as const).map((manner) => async () => {
        this.deeds[manner] += 1;
        proxy.behave(manner);
        await sleep(1500);
        proxy.behave("fair");
      }),
    ];
    await deeds[this.#dice(deeds.length)]?.();
    await sleep(1000);
  }

  async #killWorker(port: number): Promise<void> {
    if (!(await this.#endWorker(port))) return;
    this.deeds.worker += 1;
    await sleep(1000);
  }

  async #endWorker(port: number): Promise<boolean> {
    const models = await residentModels(`http://127.0.0.1:${port}`).catch(() => []);
    const pid = models.find(({ id, status }) => id === MODEL && status === "loaded")?.pid;
    if (pid == null) return false;
    process.kill(pid, "SIGKILL");
    return true;
  }

  async #killNeuron(which: number, port: number): Promise<void> {
    this.deeds.neuron += 1;
    await this.#neurons.get(which)?.process.stop("SIGKILL");
    await this.#startNeuron(which, port);
  }

  async #startNeuron(which: number, port: number, script?: string): Promise<void> {
    const process = this.#neuronAt(which, port, script);
    this.#neurons.set(which, { port, process });
    await process.waitFor(/listening/);
  }

  /** The neuron is back, its worker dies, and the memory that the reload needs is somebody else's for a while. */
  async #takeMemory(which: number, port: number): Promise<void> {
    if (!isSimulated(which)) return;
    this.deeds.memory += 1;
    const script = `${this.#directory}/.foreign-memory-${port}.toml`;
    await writeFile(script, `[[foreign_memory]]\nmib = ${DEVICE_MIB}\nuntil_secs = ${FOREIGN_SECS}\n`);
    await this.#neurons.get(which)?.process.stop("SIGKILL");
    await this.#startNeuron(which, port, script);
    await this.#endWorker(port);
    await sleep(1000);
  }

  async #killGateway(): Promise<void> {
    const gateway = this.#gateways[this.#dice(this.#gateways.length)];
    if (gateway === undefined) return;
    this.deeds.gateway += 1;
    this.#isDown.add(gateway.port);
    gateway.deaths += 1;
    await gateway.process.stop("SIGKILL");
    gateway.process = this.#gatewayAt(gateway.port, gateway.metricsPort);
    await gateway.process.waitFor(/listening/);
    this.#isDown.delete(gateway.port);
  }

  /** The same throws for the same seed. */
  #dice(sides: number): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#state / 2 ** 32) * sides);
  }

  async #get(index: number, path: string): Promise<unknown> {
    const headers = { authorization: `Bearer ${SECRETS.ops}` };
    return (await fetch(`http://127.0.0.1:${this.#gateways[index]?.port ?? 0}${path}`, { headers })).json();
  }

  async outstandingAtTheEnd(): Promise<number> {
    let left = -1;
    await eventually(async () => {
      const counts = await Promise.all(
        this.#gateways.map(async (_, index) => {
          const { neurons } = (await this.#get(index, "/fleet")) as {
            readonly neurons: readonly { readonly models: readonly { readonly outstanding: number }[] }[];
          };
          return neurons
            .flatMap(({ models }) => models)
            .reduce((sum, { outstanding }) => sum + outstanding, 0);
        }),
      );
      left = counts.reduce((sum, count) => sum + count, 0);
      if (left > 0) throw new Error(`${left} requests are still outstanding`);
    }).catch(() => undefined);
    return left;
  }

  /** Once what killed gateways had under way is charged, too: ten seconds after they were heard of last. */
  async countedTokens(gatewayDied: number): Promise<number> {
    if (gatewayDied > 0) await sleep(12_000);
    const { rows } = usageReportSchema.parse(await this.#get(0, "/usage"));
    return rows.reduce((sum, { completion_tokens: tokens }) => sum + tokens, 0);
  }

  async #stop(): Promise<void> {
    await Promise.all(this.#gateways.map(({ process }) => process.stop("SIGTERM")));
    await Promise.all([...this.#neurons.values()].map(({ process }) => process.stop("SIGTERM")));
    await Promise.all(this.#proxies.map((proxy) => proxy.stop()));
  }
}

function countBy(
  answers: readonly SeenAnswer[],
  name: (answer: SeenAnswer) => string,
): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const answer of answers) counts[name(answer)] = (counts[name(answer)] ?? 0) + 1;
  return counts;
}

async function figuresOf(
  underChaos: readonly Judged[],
  fleet: ChaosFleet,
  rest: Pick<GatewayChaosFigures, "copiesOfColdModel" | "stillOutstanding"> & {
    readonly options: GatewayChaosOptions;
  },
): Promise<GatewayChaosFigures> {
  const answers = [...fleet.coldAnswers, ...underChaos];
  const died = answers.filter(({ gatewayDied }) => gatewayDied);
  const of = (outcome: SeenAnswer["outcome"]) =>
    answers.filter((answer) => answer.outcome === outcome && !answer.gatewayDied);
  const { options, ...seen } = rest;
  return {
    seed: options.seed,
    seconds: options.seconds,
    ledger: fleet.ledger,
    deeds: fleet.deeds,
    requests: answers.length,
    complete: of("complete").length,
    gatewayDied: died.length,
    told: countBy(of("told"), ({ code }) => code ?? "?"),
    toldBeforeFirstToken: countBy(
      of("told").filter(({ begun }) => !begun),
      ({ code, streamed }) => `${code ?? "?"}, ${streamed ? "streamed" : "whole"}`,
    ),
    silent: of("silent").length,
    looksWholeAndIsNot: of("half").length,
    tokensReceived: answers.reduce((sum, { tokens }) => sum + tokens, 0),
    tokensCounted: await fleet.countedTokens(died.length),
    tokensUnsure: TOKENS * (answers.length - of("complete").length),
    ...seen,
  };
}
