import type { Clock } from "../../../core/clock.ts";
import { CortexError, systemErrorCode } from "../../../core/errors.ts";
import { sleptThrough } from "../../../core/interruptible-sleep.ts";
import { present } from "../../../core/present.ts";
import type { Logger } from "../../../platform/logger.ts";
import { INSTANCE_VARIABLE, type WorkerFacts, type WorkerStart } from "../../../protocol/worker-messages.ts";
import { factsOf, findServed, type ProbeAnswers } from "../engine-facts.ts";
import { EngineClient, jsonOf, type Answered } from "./engine-client.ts";
import { measureGroup } from "./engine-memory.ts";
import { startEngineProcess, type EngineProcess } from "./engine-process.ts";

export interface ExternalDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  /** What a command inherits. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export interface RunningExternal {
  readonly client: EngineClient;
  readonly facts: WorkerFacts;
  /** What the engine calls the model, where that is not the name that clients use. */
  readonly servedAs: string | null;
  /** Resolves with the reason once the engine is gone, or answers no more. */
  readonly lost: Promise<string>;
  stop(): Promise<void>;
}

const ATTACH_MS = 30_000;
const START_MS = 600_000;
const LOOK_MS = 250;
const WATCH_MS = 10_000;
const MISSES_UNTIL_LOST = 3;

/** Starts the engine or finds it, waits until it answers, and asks what it is. Throws `engine_*`. */
export async function startExternalEngine(start: WorkerStart, deps: ExternalDeps): Promise<RunningExternal> {
  const external = present(start.external, "the external engine of a spec");
  const ended = new AbortController();
  const { command, endpoint } = external;
  const child =
    command === undefined
      ? null
      : await startEngineProcess(command, {
          ...deps,
          // A neuron finds it by this when nobody else is left who knows it.
          environment: { ...deps.environment, [INSTANCE_VARIABLE]: start.instance },
          // Its own words, into the log of this worker: last words are read there.
          log: (line) => process.stdout.write(`${line}\n`),
        });
  try {
    const url = child?.url ?? present(endpoint, "the endpoint of an external engine");
    const client = await EngineClient.open(url, { clock: deps.clock, tokenFile: external.token_file });
    const visit: Visit = { client, child, start, deps, signal: ended.signal };
    const healthPath = await whenReady(visit, url);
    const answers = await probe(visit);
    const memoryBytes = child === null ? null : await measureGroup(process.pid, { gpu: start.gpu });
    const facts = factsOf(
      {
        modelId: start.model_id,
        external,
        contextTokens: start.context,
        parallel: start.parallel,
        memoryBytes,
      },
      answers,
    );
    return {
      client,
      facts,
      servedAs:
        external.served_as === undefined || external.served_as === start.model_id ? null : external.served_as,
      lost: whenLost(visit, healthPath),
      stop: async () => {
        ended.abort();
        await child?.stop();
        await client.close();
      },
    };
  } catch (thrown) {
    ended.abort();
    await child?.stop();
    throw thrown;
  }
}

interface Visit {
  readonly client: EngineClient;
  readonly child: EngineProcess | null;
  readonly start: WorkerStart;
  readonly deps: ExternalDeps;
  readonly signal: AbortSignal;
}

/** Resolves with the path that tells whether it lives. */
async function whenReady(visit: Visit, url: string): Promise<string> {
  const { child, deps, start, signal } = visit;
  const { clock } = deps;
  const external = present(start.external, "the external engine of a spec");
  const timeoutMs = external.start_timeout_ms ?? (child === null ? ATTACH_MS : START_MS);
  const dueMs = clock.monotonicMs() + timeoutMs;
  let last = "it has not answered";
  for (;;) {
    const look = await lookAt(visit, external.health_path);
    if (look.ready !== undefined) return look.ready;
    last = look.reason;
    if (clock.monotonicMs() >= dueMs) break;
    const slept = sleptThrough(clock, LOOK_MS, signal);
    const exit = child === null ? null : await Promise.race([child.exited, slept.then(() => null)]);
    if (exit !== null && child !== null) throw exitedEarly(child, exit);
    await slept;
  }
  const within = `within ${Math.round(timeoutMs / 1000)} s`;
  if (child !== null) {
    throw new CortexError("engine_timeout", `the engine did not become ready ${within}: ${last}`, {
      details: { last_log_lines: [...child.lastLines] },
    });
  }
  throw new CortexError("engine_unreachable", `nothing answers at ${url} ${within}: ${last}`);
}

function exitedEarly(
  child: EngineProcess,
  exit: { readonly code: number | null; readonly signal: string | null },
) {
  const how =
    exit.signal === null ? `exited with code ${exit.code ?? "unknown"}` : `was ended by ${exit.signal}`;
  const lastLine = child.lastLines.findLast((line) => line.trim() !== "");
  const said = lastLine === undefined ? "" : `; it said: ${lastLine.trim().slice(0, 300)}`;
  return new CortexError("engine_exited", `the engine ${how} before it was ready${said}`, {
    details: { exit_code: exit.code, signal: exit.signal, last_log_lines: [...child.lastLines] },
  });
}

type Look = { readonly ready: string } | { readonly ready?: undefined; readonly reason: string };

/** By the path that is declared; else by `/health`, and where an engine has none, by its list of models. */
async function lookAt({ client, signal }: Visit, declared: string | undefined): Promise<Look> {
  try {
    const first = declared ?? "/health";
    const status = await client.status(first, signal);
    if (status === 200) return { ready: first };
    if (declared !== undefined || status === 503) return { reason: `${first} answers HTTP ${status}` };
    const listed = await client.status("/v1/models", signal);
    if (listed === 401 || listed === 403)
      throw new CortexError("engine_denied", "the external engine refuses the neuron's token");
    return listed === 200 ? { ready: "/v1/models" } : { reason: `/v1/models answers HTTP ${listed}` };
  } catch (thrown) {
    if (thrown instanceof CortexError && thrown.code === "engine_denied") throw thrown;
    return { reason: systemErrorCode(thrown) ?? String(thrown) };
  }
}

const TOOL = {
  type: "function",
  function: { name: "look", description: "looks", parameters: { type: "object", properties: {} } },
};

/** One token each: what is answered is offered. */
async function probe(visit: Visit): Promise<ProbeAnswers> {
  const { client, start, signal } = visit;
  const wanted = start.external?.served_as ?? start.model_id;
  const listed = await ask(visit, () => client.probe("/v1/models", signal));
  if (listed.status === 401 || listed.status === 403) {
    throw new CortexError("engine_denied", "the external engine refuses the neuron's token");
  }
  const models = jsonOf(listed);
  findServed({ models }, wanted);
  const post = async (path: string, body: object): Promise<unknown> =>
    jsonOf(await ask(visit, () => client.probe(path, signal, { model: wanted, ...body })));
  const messages = [{ role: "user", content: "hi" }];
  const chat = await post("/v1/chat/completions", { messages, max_tokens: 1 });
  return {
    models,
    chat,
    props: jsonOf(await ask(visit, () => client.probe("/props", signal))),
    tools:
      chat === null ? null : await post("/v1/chat/completions", { messages, max_tokens: 1, tools: [TOOL] }),
    completion: chat === null ? await post("/v1/completions", { prompt: "hi", max_tokens: 1 }) : null,
    embedding: await post("/v1/embeddings", { input: "hi" }),
    rerank: await post("/v1/rerank", { query: "hi", documents: ["hi"] }),
  };
}

const NO_ANSWER: Answered = { status: 0, text: "" };

/** An engine that ends under a probe is no engine; one that only breaks a connection offers nothing there. */
async function ask({ child }: Visit, request: () => Promise<Answered>): Promise<Answered> {
  const answered = request().catch(() => NO_ANSWER);
  if (child === null) return await answered;
  const exit = await Promise.race([child.exited, answered.then(() => null)]);
  if (exit !== null) throw exitedEarly(child, exit);
  return await answered;
}

async function whenLost(visit: Visit, healthPath: string): Promise<string> {
  const { child, client, deps, signal } = visit;
  const watched = (async () => {
    for (let misses = 0; await sleptThrough(deps.clock, WATCH_MS, signal);) {
      const status = await client.status(healthPath, signal).catch(() => 0);
      misses = status >= 200 && status < 500 ? 0 : misses + 1;
      if (misses >= MISSES_UNTIL_LOST) return "the engine does not answer any more";
    }
    return "the engine was told to go";
  })();
  if (child === null) return await watched;
  const exited = child.exited.then(({ code, signal: killedBy }) =>
    killedBy === null
      ? `the engine exited with code ${code ?? "unknown"}`
      : `the engine was ended by ${killedBy}`,
  );
  return await Promise.race([exited, watched]);
}
