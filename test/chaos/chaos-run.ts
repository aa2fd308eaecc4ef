import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createLogger } from "../../src/platform/logger.ts";
import { SqliteLedger } from "../../src/gateway/keys/io/sqlite-ledger.ts";
import { systemClock } from "../../src/platform/system-clock.ts";
import { CortexProcess, freePort, runCortex } from "../support/cortex-process.ts";
import { eventually } from "../support/eventually.ts";
import { commitFleet, fleetText, temporaryDirectory } from "../support/fleet/fleet-on-disk.ts";
import { residentModels, sourceOf } from "../support/fleet/running-fleet.ts";
import { tinyModelFile } from "../support/neuron/tiny-model.ts";
import { askAndJudge, type SeenAnswer } from "./chaos-client.ts";

export interface ChaosOptions {
  readonly neurons: number;
  readonly clients: number;
  readonly seconds: number;
  readonly seed: number;
  readonly onProgress?: (line: string) => void;
}

export interface ChaosFigures {
  readonly seed: number;
  readonly seconds: number;
  readonly deaths: { readonly workers: number; readonly neurons: number };
  readonly requests: number;
  readonly complete: number;
  /** Failures that were told, by their codes. */
  readonly told: Readonly<Record<string, number>>;
  /** Of these: before anything of an answer had come. */
  readonly toldBeforeFirstToken: number;
  readonly silent: number;
  readonly looksWholeAndIsNot: number;
  /** Tokens that clients have, and those that the ledger counted. */
  readonly tokensReceived: number;
  readonly tokensCounted: number;
  /** At the end, when nobody asks any more. */
  readonly stillOutstanding: number;
}

const MODEL = "test/tiny";

/**
 * Real neurons, real workers, a real gateway, and somebody who kills: a worker or a neuron at a time, never the last
 * copy, as fast as they come back. Clients ask all the while and judge what they get.
 */
export async function runChaos(options: ChaosOptions): Promise<ChaosFigures> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory());
  const modelPath = await tinyModelFile({ endOfText: "never", contextLength: 4096 });
  const data = `${directory.path}/.data`;
  const ports = new Map<string, number>();
  for (let index = 0; index < options.neurons; index += 1) ports.set(`n${index}`, await freePort());
  const [gatewayPort, metricsPort] = [await freePort(), await freePort()];
  const models = `[[models]]\nid = "${MODEL}"\nsource = "${sourceOf(modelPath)}"\nreplicas = ${options.neurons}\nparallel = 4\n`;
  await commitFleet(
    directory.path,
    fleetText({ gatewayPort, metricsPort, neurons: Object.fromEntries(ports), models }),
  );
  const environment = { CORTEX_DATA_DIR: data };
  const start = (line: readonly string[]) => new CortexProcess(line, { environment });
  const neurons = new Map<string, CortexProcess>();
  const startNeuron = async (name: string) => {
    const neuron = start(["neuron", "--port", String(ports.get(name)), "--model-root", dirname(modelPath)]);
    neurons.set(name, neuron);
    await neuron.waitFor(/listening/);
  };
  stack.defer(async () => {
    for (const neuron of neurons.values()) await neuron.stop("SIGTERM");
  });
  await Promise.all([...ports.keys()].map(startNeuron));
  const gateway = start(["serve", "--config", directory.path]);
  stack.defer(async () => {
    await gateway.stop("SIGTERM");
  });
  await gateway.waitFor(/listening/);
  const applied = await runCortex(["apply", "--config", directory.path, "--yes"]);
  if (applied.code !== 0) throw new Error(applied.stdout + applied.stderr);
  const url = `http://127.0.0.1:${gatewayPort}`;
  const killer = new Killer({ seed: options.seed, ports, neurons, startNeuron });
  const answers = await askWhileKilling(url, killer, options);
  const stillOutstanding = await outstandingAtTheEnd(url);
  await gateway.stop("SIGTERM");
  return figuresOf(answers, {
    options,
    deaths: killer.deaths,
    tokensCounted: await countedTokens(`${data}/usage/test.sqlite`),
    stillOutstanding,
  });
}

async function askWhileKilling(url: string, killer: Killer, options: ChaosOptions): Promise<SeenAnswer[]> {
  const answers: SeenAnswer[] = [];
  const endsAtMs = performance.now() + options.seconds * 1000;
  const isOver = () => performance.now() >= endsAtMs;
  const client = async (number: number): Promise<void> => {
    for (let count = 0; !isOver(); count += 1) {
      const nonce = `${number}-${count}`;
      answers.push(await askAndJudge({ url, model: MODEL, nonce, streamed: (number + count) % 2 === 0 }));
    }
  };
  const killing = (async () => {
    while (!isOver()) {
      await killer.kill();
      options.onProgress?.(`${answers.length} answers, ${JSON.stringify(killer.deaths)}`);
    }
  })();
  await Promise.all([killing, ...Array.from({ length: options.clients }, (_, number) => client(number))]);
  return answers;
}

interface KillerDeps {
  readonly seed: number;
  readonly ports: ReadonlyMap<string, number>;
  readonly neurons: ReadonlyMap<string, CortexProcess>;
  readonly startNeuron: (name: string) => Promise<void>;
}

/** Kills one thing at a time, of a neuron that serves and while another one does. */
class Killer {
  readonly deaths = { workers: 0, neurons: 0 };
  readonly #deps: KillerDeps;
  #state: number;

  constructor(deps: KillerDeps) {
    this.#deps = deps;
    this.#state = deps.seed;
  }

  /** A neuron that lost its worker often waits longer and longer before it loads again, so that some may not serve. */
  async kill(): Promise<void> {
    const serving = await this.#serving();
    const victim = serving[this.#dice(serving.length)];
    if (victim === undefined || serving.length < 2) {
      await sleep(100);
      return;
    }
    if (this.#dice(3) > 0) {
      this.deaths.workers += 1;
      process.kill(victim.pid, "SIGKILL");
    } else {
      this.deaths.neurons += 1;
      await this.#deps.neurons.get(victim.name)?.stop("SIGKILL");
      await this.#deps.startNeuron(victim.name);
    }
    await sleep(1000);
  }

  async #serving(): Promise<{ readonly name: string; readonly pid: number }[]> {
    const found = await Promise.all(
      [...this.#deps.ports].map(async ([name, port]) => {
        const models = await residentModels(`http://127.0.0.1:${port}`).catch(() => []);
        return models.flatMap(({ status, pid }) =>
          status === "loaded" && pid !== null ? [{ name, pid }] : [],
        );
      }),
    );
    return found.flat();
  }

  /** The same throws for the same seed. */
  #dice(sides: number): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#state / 2 ** 32) * sides);
  }
}

async function outstandingAtTheEnd(url: string): Promise<number> {
  let left = -1;
  await eventually(async () => {
    const response = await fetch(`${url}/fleet`);
    const { neurons } = (await response.json()) as {
      readonly neurons: readonly { readonly models: readonly { readonly outstanding: number }[] }[];
    };
    left = neurons.flatMap(({ models }) => models).reduce((sum, { outstanding }) => sum + outstanding, 0);
    if (left > 0) throw new Error(`${left} requests are still outstanding`);
  }).catch(() => undefined);
  return left;
}

async function countedTokens(path: string): Promise<number> {
  const logger = createLogger({ name: "chaos", level: "silent" });
  const ledger = new SqliteLedger({ path, keys: [] }, { clock: systemClock, logger });
  const rows = await ledger.usage({ fromMs: 0, toMs: Number.MAX_SAFE_INTEGER });
  await ledger.close();
  return rows.reduce((sum, { completionTokens }) => sum + completionTokens, 0);
}

function figuresOf(
  answers: readonly SeenAnswer[],
  seen: Pick<ChaosFigures, "deaths" | "tokensCounted" | "stillOutstanding"> & {
    readonly options: ChaosOptions;
  },
): ChaosFigures {
  const { options, ...rest } = seen;
  const of = (outcome: SeenAnswer["outcome"]) => answers.filter((answer) => answer.outcome === outcome);
  const told: Record<string, number> = {};
  for (const { code } of of("told")) told[code ?? "?"] = (told[code ?? "?"] ?? 0) + 1;
  return {
    seed: options.seed,
    seconds: options.seconds,
    requests: answers.length,
    complete: of("complete").length,
    told,
    toldBeforeFirstToken: of("told").filter(({ begun }) => !begun).length,
    silent: of("silent").length,
    looksWholeAndIsNot: of("half").length,
    tokensReceived: answers.reduce((sum, { tokens }) => sum + tokens, 0),
    ...rest,
  };
}
