import { readFile, writeFile } from "node:fs/promises";
import { request, type IncomingMessage } from "node:http";
import { join } from "node:path";
import { CortexProcess, freePort } from "../../support/cortex-process.ts";
import { temporaryDirectory } from "../../support/fleet/fleet-on-disk.ts";
import { FakeNeuron, type FakeNeuronOptions } from "../../support/neuron/fake-neuron.ts";

export interface AnswerSoFar {
  readonly status: number;
  text: string;
  /** True: it ended as HTTP has it; false: the connection broke. */
  readonly ended: Promise<boolean>;
  /** Resolves when so much of it is there. */
  holds(part: string): Promise<void>;
}

interface CrewOptions {
  readonly workers?: number;
  readonly neuron?: FakeNeuronOptions;
  readonly port?: number;
  readonly environment?: Readonly<Record<string, string>>;
}

/** `cortex serve --workers` over a fake neuron; each request has a connection of its own, so that workers take turns. */
export class CrewGateway {
  readonly neuron: FakeNeuron;
  readonly process: CortexProcess;
  readonly url: string;
  readonly metricsUrl: string;
  /** Of its fleet files. */
  readonly directory: string;
  readonly #head: string;
  readonly #stack: AsyncDisposableStack;

  private constructor(
    parts: Pick<CrewGateway, "neuron" | "process" | "url" | "metricsUrl">,
    files: { readonly directory: string; readonly head: string; readonly stack: AsyncDisposableStack },
  ) {
    this.neuron = parts.neuron;
    this.process = parts.process;
    this.url = parts.url;
    this.metricsUrl = parts.metricsUrl;
    this.directory = files.directory;
    this.#head = files.head;
    this.#stack = files.stack;
  }

  static async start(rest: string, options: CrewOptions = {}): Promise<CrewGateway> {
    const stack = new AsyncDisposableStack();
    const { path: directory } = stack.use(await temporaryDirectory());
    const neuron = await FakeNeuron.start(options.neuron);
    stack.defer(() => neuron.stop());
    const [port, metricsPort] = [options.port ?? (await freePort()), await freePort()];
    const head = `[fleet]\nname = "home"\n[[neurons]]\nname = "one"\nendpoint = "${neuron.url}"\n[gateway]\nlisten = "127.0.0.1:${port}"\nmetrics_listen = "127.0.0.1:${metricsPort}"\n`;
    await writeFile(join(directory, "fleet.toml"), head + rest);
    const process = new CortexProcess(
      ["serve", "--config", directory, "--workers", String(options.workers ?? 2)],
      {
        environment: {
          CORTEX_DATA_DIR: join(directory, ".data"),
          XDG_CACHE_HOME: join(directory, ".cache"),
          ...options.environment,
        },
      },
    );
    stack.defer(async () => {
      await process.stop("SIGKILL");
    });
    const urls = { url: `http://127.0.0.1:${port}`, metricsUrl: `http://127.0.0.1:${metricsPort}` };
    await process.waitFor(/gateway listening/).catch(async (thrown: unknown) => {
      await stack.disposeAsync();
      throw thrown;
    });
    return new CrewGateway({ neuron, process, ...urls }, { directory, head, stack });
  }

  /** Puts other files in place of those that are served. */
  write(rest: string): Promise<void> {
    return writeFile(join(this.directory, "fleet.toml"), this.#head + rest);
  }

  /** Resolves with the head of the answer. */
  async send(
    path: string,
    { body, key }: { readonly body?: unknown; readonly key?: string } = {},
  ): Promise<AnswerSoFar> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const headers = {
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
    };
    const method = body === undefined ? "GET" : "POST";
    const asked = request(this.url + path, { agent: false, method, headers }, resolve);
    asked.once("error", reject);
    asked.end(body === undefined ? undefined : JSON.stringify(body));
    return answerSoFar(await promise);
  }

  /** The whole answer. */
  async ask(path: string, sent?: { readonly body?: unknown; readonly key?: string }) {
    const answer = await this.send(path, sent);
    await answer.ended;
    return { status: answer.status, text: answer.text };
  }

  async json<Body>(path: string, sent?: { readonly body?: unknown; readonly key?: string }): Promise<Body> {
    return JSON.parse((await this.ask(path, sent)).text) as Body;
  }

  /** The sum of all series of that name whose labels hold the text. */
  async metric(name: string, labels = ""): Promise<number> {
    const text = await (await fetch(`${this.metricsUrl}/metrics`)).text();
    return text
      .split("\n")
      .filter((line) => (line.startsWith(`${name}{`) || line.startsWith(`${name} `)) && line.includes(labels))
      .reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
  }

  /** The lines of the log that hold all of the text. */
  logged(...parts: readonly string[]): readonly Record<string, unknown>[] {
    return this.process.stderr
      .split("\n")
      .filter((line) => line.startsWith("{") && parts.every((part) => line.includes(part)))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  /** Process ids by place; of one that was started again the last. */
  get workers(): ReadonlyMap<number, number> {
    const listening = this.logged('"gateway worker serves"');
    return new Map(listening.map(({ worker, pid }) => [Number(worker), Number(pid)]));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}

function answerSoFar(response: IncomingMessage): AnswerSoFar {
  const { promise: ended, resolve } = Promise.withResolvers<boolean>();
  let looks: (() => void)[] = [];
  const answer: AnswerSoFar = {
    status: response.statusCode ?? 0,
    text: "",
    ended,
    holds: async (part) => {
      while (!answer.text.includes(part)) {
        await new Promise<void>((look) => {
          looks.push(look);
        });
      }
    },
  };
  response.setEncoding("utf8").on("data", (text: string) => {
    answer.text += text;
    for (const look of looks.splice(0)) look();
  });
  response.on("error", () => undefined);
  response.on("close", () => {
    looks = [];
    resolve(response.complete);
  });
  return answer;
}

/** Of a process, from the system. */
export const parentOf = async (pid: number): Promise<number> =>
  Number(/PPid:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1]);

export const chat = (model: string, more: Readonly<Record<string, unknown>> = {}) => ({
  model,
  messages: [{ role: "user", content: "Hello" }],
  ...more,
});
