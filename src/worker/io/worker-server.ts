import { randomBytes, randomInt } from "node:crypto";
import { chmod, lstat, rm } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { connect } from "node:net";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Clock } from "../../core/clock.ts";
import { CortexError } from "../../core/errors.ts";
import { createHttpServer, listen, parseJsonBody } from "../../platform/http-server.ts";
import type { Logger } from "../../platform/logger.ts";
import { toErrorResponse } from "../../protocol/error-envelope.ts";
import type {
  EmbeddingsRequest,
  EmbeddingsResponse,
  TokenizeResponse,
  WorkerHealth,
} from "../../protocol/openai/chat.ts";
import {
  parseChatRequest,
  parseCompletionRequest,
  parseEmbeddingsRequest,
  parseTokenizeRequest,
} from "../../protocol/openai/request.ts";
import {
  createChatChunkWriter,
  createCompletionChunkWriter,
  toChatCompletion,
  toCompletion,
  type AnswerIdentity,
  type ChunkWriter,
} from "../answer/chat-completion-chunks.ts";
import type { EmbeddingInput, InferenceEngine } from "../engine/inference-engine.ts";
import {
  prepareChat,
  prepareCompletion,
  tokensOf,
  type PreparedAnswer,
  type PrepareContext,
} from "../answer/prepare-answer.ts";
import { collectAnswer, streamAnswer, type RunningAnswer } from "./worker-answers.ts";

export interface WorkerServerOptions {
  readonly engine: InferenceEngine;
  /** The name that answers carry. */
  readonly modelId: string;
  readonly socketPath: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface WorkerServer {
  /** Aborts what is in flight with `draining`, then closes the socket. */
  stop(): Promise<void>;
}

/** Serves the inference shape on a Unix socket that only this user can open. */
export async function startWorkerServer(options: WorkerServerOptions): Promise<WorkerServer> {
  const inFlight = new Set<AbortController>();
  const server = createHttpServer({ logger: options.logger, errorResponse: toErrorResponse });
  addRoutes(server, { ...options, inFlight });
  await removeStaleSocket(options.socketPath);
  // The socket must never exist with a wider mode, not even for the moment before a chmod.
  const previousMask = process.umask(0o177);
  try {
    await listen(server, { socketPath: options.socketPath });
  } finally {
    process.umask(previousMask);
  }
  await chmod(options.socketPath, 0o600);
  return {
    stop: async () => {
      const reason = new CortexError("draining", "the model is being unloaded");
      for (const controller of inFlight) controller.abort(reason);
      await server.close();
    },
  };
}

/** A socket that nobody listens on is what a worker that was killed left behind. */
async function removeStaleSocket(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found?.isSocket() === true && !(await isListening(path))) await rm(path, { force: true });
}

const isListening = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = connect(path);
    probe.once("connect", () => {
      probe.destroy();
      resolve(true);
    });
    probe.once("error", () => resolve(false));
  });

interface RouteContext extends WorkerServerOptions {
  readonly inFlight: Set<AbortController>;
}

function addRoutes(server: FastifyInstance, context: RouteContext): void {
  server.get("/health", () => health(context.engine));
  server.post("/v1/chat/completions", async (request, reply) => {
    const body = parseChatRequest(parseJsonBody(request.body));
    return await answer(context, {
      request,
      reply,
      stream: body.stream,
      idPrefix: "chatcmpl-",
      prepare: (preparation) => prepareChat(body, preparation),
      chunkWriter: (identity) => createChatChunkWriter(identity, newCallId),
      whole: (identity, { events, ending }) => toChatCompletion(identity, events, { ending, newCallId }),
    });
  });
  server.post("/v1/completions", async (request, reply) => {
    const body = parseCompletionRequest(parseJsonBody(request.body));
    return await answer(context, {
      request,
      reply,
      stream: body.stream,
      idPrefix: "cmpl-",
      prepare: (preparation) => prepareCompletion(body, preparation),
      chunkWriter: createCompletionChunkWriter,
      whole: (identity, { events, ending }) => toCompletion(identity, events, ending),
    });
  });
  server.post("/v1/tokenize", (request): TokenizeResponse => {
    const body = parseTokenizeRequest(parseJsonBody(request.body));
    const tokens = [...tokensOf(body, context.engine)];
    const { context_tokens: contextTokens } = context.engine.facts;
    return { model: context.modelId, count: tokens.length, max_model_len: contextTokens, tokens };
  });
  server.post("/v1/embeddings", async (request, reply) => {
    const body = parseEmbeddingsRequest(parseJsonBody(request.body));
    return await untilClientLeaves(context, reply.raw, (signal) => embeddings(context, body, signal));
  });
}

const newCallId = (): string => `call_${randomBytes(12).toString("hex")}`;

function health(engine: InferenceEngine): WorkerHealth {
  const { slots, busy, queued, maxQueued } = engine.occupancy;
  return { status: "ok", slots, slots_busy: busy, slots_free: slots - busy, queued, max_queued: maxQueued };
}

interface AnswerRoute {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly stream: boolean;
  readonly idPrefix: string;
  readonly prepare: (context: PrepareContext) => PreparedAnswer;
  readonly chunkWriter: (identity: AnswerIdentity) => ChunkWriter;
  readonly whole: (identity: AnswerIdentity, answer: Awaited<ReturnType<typeof collectAnswer>>) => unknown;
}

/** What can fail before the answer starts fails with a status; see `streamAnswer` for the rest. */
async function answer(context: RouteContext, route: AnswerRoute): Promise<unknown> {
  const { engine, clock, logger } = context;
  const arrivedAtMs = clock.monotonicMs();
  return await untilClientLeaves(context, route.reply.raw, async (signal) => {
    const prepared = route.prepare({ engine, signal, randomSeed: randomInt(2 ** 31) });
    const running: RunningAnswer = { prepared, admitted: engine.admit(prepared.job), clock, arrivedAtMs };
    const identity = {
      id: route.idPrefix + randomBytes(12).toString("hex"),
      created: Math.floor(clock.nowMs() / 1000),
      model: context.modelId,
    };
    if (!route.stream) return route.whole(identity, await collectAnswer(running));
    route.reply.hijack();
    try {
      await streamAnswer(running, route.chunkWriter(identity), route.reply.raw);
    } catch (thrown) {
      logger.error({ err: thrown, answer: identity.id }, "answer failed after its stream was open");
    }
    return route.reply;
  });
}

/** Runs with a signal that aborts when the connection closes before the response is complete. */
async function untilClientLeaves<Result>(
  context: RouteContext,
  response: ServerResponse,
  run: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const controller = new AbortController();
  const onClose = (): void => {
    if (!response.writableFinished) {
      controller.abort(new CortexError("interrupted", "the client closed the connection"));
    }
  };
  response.once("close", onClose);
  context.inFlight.add(controller);
  try {
    return await run(controller.signal);
  } finally {
    context.inFlight.delete(controller);
  }
}

/** As many as OpenAI's service takes. */
const MOST_EMBEDDING_INPUTS = 2048;

async function embeddings(
  context: RouteContext,
  request: EmbeddingsRequest,
  signal: AbortSignal,
): Promise<EmbeddingsResponse> {
  const { engine } = context;
  if (!engine.facts.capabilities.includes("embeddings")) {
    throw new CortexError("wrong_modality", "this model computes no embeddings");
  }
  const inputs = embeddingInputs(request.input);
  if (inputs.length > MOST_EMBEDDING_INPUTS) {
    throw new CortexError("unsupported_parameter", `\`input\` has more than ${MOST_EMBEDDING_INPUTS} texts`, {
      param: "input",
      next: "send several requests",
    });
  }
  for (const input of inputs) checkEmbeddingInput(engine, input);
  const { vectors, promptTokens } = await engine.embed(inputs, signal);
  const size = vectors[0]?.length ?? 0;
  if (request.dimensions !== undefined && request.dimensions !== size) {
    throw new CortexError("unsupported_parameter", `this model's embeddings have ${size} dimensions`, {
      param: "dimensions",
    });
  }
  const encode = request.encoding_format === "base64" ? toBase64 : (vector: readonly number[]) => [...vector];
  return {
    object: "list",
    model: context.modelId,
    data: vectors.map((vector, index) => ({ object: "embedding", index, embedding: encode(vector) })),
    usage: { prompt_tokens: promptTokens, total_tokens: promptTokens },
  };
}

function embeddingInputs(input: EmbeddingsRequest["input"]): readonly EmbeddingInput[] {
  if (typeof input === "string") return [input];
  const tokens = input.filter((item) => typeof item === "number");
  if (tokens.length > 0) return [tokens];
  return input.filter((item) => typeof item !== "number");
}

function checkEmbeddingInput(engine: InferenceEngine, input: EmbeddingInput): void {
  if (input.length === 0) {
    throw new CortexError("invalid_request_body", "`input` has an empty text", { param: "input" });
  }
  if (typeof input !== "string" && input.some((token) => token >= engine.vocabularySize)) {
    throw new CortexError("invalid_request_body", "`input` has a number that is not a token of this model", {
      param: "input",
    });
  }
}

/** Little-endian 32-bit floats, as OpenAI's clients ask for by default. */
function toBase64(vector: readonly number[]): string {
  const bytes = Buffer.alloc(vector.length * 4);
  for (const [index, value] of vector.entries()) bytes.writeFloatLE(value, index * 4);
  return bytes.toString("base64");
}
