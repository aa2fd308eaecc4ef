import { CortexError } from "../../core/errors.ts";
import { isRecord } from "../../core/json.ts";
import type { ExternalEngine, WorkerFacts } from "../../protocol/worker-messages.ts";

/** What an engine said when it was asked, as it said it; null where it gave no such answer. */
export interface ProbeAnswers {
  /** `GET /v1/models` */
  readonly models: unknown;
  /** `GET /props`, which llama-server has. */
  readonly props: unknown;
  /** `POST /v1/chat/completions` for one token. */
  readonly chat: unknown;
  /** The same with a tool. */
  readonly tools: unknown;
  /** `POST /v1/completions` for one token; asked where there is no chat. */
  readonly completion: unknown;
  readonly embedding: unknown;
  readonly rerank: unknown;
}

export interface ProbedEngine {
  readonly modelId: string;
  readonly external: ExternalEngine;
  readonly contextTokens: number | undefined;
  readonly parallel: number;
  /** Measured; null where it could not be. */
  readonly memoryBytes: number | null;
}

export interface ServedModel {
  readonly id: string;
  readonly entry: Readonly<Record<string, unknown>>;
}

/** Every model in `GET /v1/models`. */
export function servedModels(answer: unknown): readonly ServedModel[] {
  const data = isRecord(answer) ? answer["data"] : undefined;
  if (!Array.isArray(data)) return [];
  return data.flatMap((entry: unknown) =>
    isRecord(entry) && typeof entry["id"] === "string" ? [{ id: entry["id"], entry }] : [],
  );
}

/** The model that the engine is asked for, or `engine_unsuitable` with those that it has. */
export function findServed(answers: Pick<ProbeAnswers, "models">, wanted: string): ServedModel {
  const served = servedModels(answers.models);
  const found = served.find(({ id }) => id === wanted);
  if (found !== undefined) return found;
  const names = served.map(({ id }) => id);
  const [only] = names;
  const next =
    names.length === 1
      ? `declare served_as = ${JSON.stringify(only)} for the model`
      : "declare `served_as` with one of the names that it lists, or start the engine with the model's name";
  const has = names.length === 0 ? "lists no model" : `has ${names.slice(0, 20).join(", ")}`;
  throw new CortexError("engine_unsuitable", `the external engine ${has}, not ${wanted}`, { next });
}

/** What the engine turned out to be. Throws `engine_unsuitable` where it can do nothing, or does not say how much. */
export function factsOf(probed: ProbedEngine, answers: ProbeAnswers): WorkerFacts {
  const name = probed.external.served_as ?? probed.modelId;
  const { entry } = findServed(answers, name);
  const meta = isRecord(entry["meta"]) ? entry["meta"] : {};
  const tried = capabilitiesOf(answers);
  const capabilities = [...new Set([...tried, ...(probed.external.capabilities ?? [])])];
  if (capabilities.length === 0) {
    throw new CortexError(
      "engine_unsuitable",
      `the external engine neither chats, completes, embeds nor ranks with ${name}`,
      {
        next: 'look into its log; it answered none of the requests that it was tried with. Declare what cannot be tried, such as capabilities = ["transcription"]',
      },
    );
  }
  const context = contextOf(probed, { answers, entry, counts: tried.length > 0 });
  return {
    context_tokens: context,
    trained_context_tokens: count(meta["n_ctx_train"]) ?? context,
    max_output_tokens: context,
    capabilities,
    tool_call: answers.tools !== null,
    reasoning: hasReasoning(answers.chat),
    ...memoryOf(probed),
    parallel: slotsOf(answers.props) ?? probed.parallel,
    architecture: "external",
    parameter_count: count(meta["n_params"]) ?? null,
  };
}

/** As declared, which may be less than the engine could; else as it says. What neither reads nor writes text has none. */
function contextOf(
  { contextTokens }: ProbedEngine,
  said: { readonly answers: ProbeAnswers; readonly entry: ServedModel["entry"]; readonly counts: boolean },
): number {
  const { answers, entry, counts } = said;
  const context = contextTokens ?? count(entry["max_model_len"]) ?? contextOfProps(answers.props);
  if (context !== undefined) return context;
  if (!counts) return NO_CONTEXT;
  throw new CortexError("engine_unsuitable", "the external engine does not say how long its context is", {
    next: "declare `context` for the model",
  });
}

/** Nobody asks for the context of such a model; the field has to say something. */
const NO_CONTEXT = 1;

const memoryOf = ({
  memoryBytes,
  external,
}: ProbedEngine): Pick<WorkerFacts, "memory_bytes" | "memory_source"> =>
  memoryBytes === null
    ? { memory_bytes: external.vram_bytes ?? 0, memory_source: "declared" }
    : { memory_bytes: memoryBytes };

const slotsOf = (props: unknown): number | undefined =>
  isRecord(props) ? count(props["total_slots"]) : undefined;

function capabilitiesOf({ chat, completion, tools, embedding, rerank }: ProbeAnswers): string[] {
  return [
    ...(chat !== null || completion !== null ? ["text"] : []),
    ...(tools === null ? [] : ["tools"]),
    ...(embedding === null ? [] : ["embeddings"]),
    ...(rerank === null ? [] : ["rerank"]),
  ];
}

const count = (value: unknown): number | undefined =>
  typeof value === "number" && Number.isSafeInteger(value) && value > 0 ? value : undefined;

/** Of one slot. */
function contextOfProps(props: unknown): number | undefined {
  const settings = isRecord(props) ? props["default_generation_settings"] : undefined;
  return isRecord(settings) ? count(settings["n_ctx"]) : undefined;
}

/** A reasoning parser shows in the shape of the message, before it has anything to say. */
function hasReasoning(chat: unknown): boolean {
  const choices = isRecord(chat) && Array.isArray(chat["choices"]) ? (chat["choices"] as unknown[]) : [];
  const message = isRecord(choices[0]) ? choices[0]["message"] : undefined;
  if (!isRecord(message)) return false;
  return [message["reasoning_content"], message["reasoning"]].some(
    (text) => typeof text === "string" && text !== "",
  );
}
