import { randomBytes, randomInt } from "node:crypto";
import type { ServerResponse } from "node:http";
import type { FastifyInstance, FastifyReply } from "fastify";
import type { Clock } from "../../core/clock.ts";
import { CortexError } from "../../core/errors.ts";
import { MEDIA_ROUTES } from "../../protocol/openai/media-routes.ts";
import { createHttpServer, parseJsonBody } from "../../platform/http-server.ts";
import type { Logger } from "../../platform/logger.ts";
import { toErrorResponse } from "../../protocol/error-envelope.ts";
import { formatTimings, TIMINGS_HEADER } from "../../protocol/headers/timings-header.ts";
import { parseTraceparent } from "../../protocol/headers/trace-context.ts";
import { formatUsage, NO_USAGE, USAGE_HEADER } from "../../protocol/headers/usage-header.ts";
import type { WorkerHealth } from "../../protocol/openai/chat.ts";
import {
  parseChatRequest,
  parseCompletionRequest,
  parseDetokenizeRequest,
  parseEmbeddingsRequest,
  parseRerankRequest,
  parseTokenizeRequest,
} from "../../protocol/openai/request.ts";
import type {
  CountTokensResponse,
  DetokenizeResponse,
  TokenizeResponse,
} from "../../protocol/openai/tokenize.ts";
import { embeddings } from "../answer/embeddings.ts";
import { rerank } from "../answer/rerank.ts";
import { textOfTokens, tokensOf } from "../answer/tokenize.ts";
import {
  createChatChunkWriter,
  createCompletionChunkWriter,
  toChatCompletion,
  toCompletion,
  usageChunk,
  type AnswerIdentity,
} from "../answer/chat-completion-chunks.ts";
import type { InferenceEngine } from "../engine/inference-engine.ts";
import {
  prepareChat,
  prepareCompletion,
  type PreparedAnswer,
  type PrepareContext,
} from "../answer/prepare-answer.ts";
import {
  collectAnswer,
  streamAnswer,
  timingsOf,
  toTokenUsage,
  type AnswerWriters,
  type CollectedAnswer,
  type RunningAnswer,
} from "./worker-answers.ts";
import { addSupervisionRoutes, listenOnSocket, type WorkerSupervision } from "./worker-socket.ts";

export interface WorkerServerOptions {
  readonly engine: InferenceEngine;
  /** The name that answers carry. */
  readonly modelId: string;
  readonly socketPath: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Absent where the worker ends with whoever started it. */
  readonly supervision?: WorkerSupervision;
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
  const holds = new Set<ServerResponse>();
  if (options.supervision !== undefined) addSupervisionRoutes(server, options.supervision, holds);
  await listenOnSocket(server, options.socketPath);
  return {
    stop: async () => {
      const reason = new CortexError("draining", "the model is being unloaded");
      for (const controller of inFlight) controller.abort(reason);
      for (const hold of holds) hold.end();
      await server.close();
    },
  };
}

interface RouteContext extends WorkerServerOptions {
  readonly inFlight: Set<AbortController>;
}

function addRoutes(server: FastifyInstance, context: RouteContext): void {
  server.get("/health", () => health(context.engine));
  for (const [route, ability] of MEDIA_ROUTES) {
    server.post(route, () => {
      throw new CortexError(
        "wrong_modality",
        `this model does not answer ${route}: it has no capability "${ability}"`,
      );
    });
  }
  server.post("/v1/chat/completions", async (request, reply) => {
    const body = parseChatRequest(parseJsonBody(request.body));
    return await answer(context, {
      reply,
      stream: body.stream,
      idPrefix: "chatcmpl-",
      prepare: (preparation) => prepareChat(body, preparation),
      writers: (identity) => ({
        choice: (index) => createChatChunkWriter(identity, { index, newCallId }),
        usage: (total) => usageChunk("chat.completion.chunk", identity, total),
      }),
      whole: (identity, { choices, total }) => toChatCompletion(identity, choices, { ...total, newCallId }),
    });
  });
  server.post("/v1/completions", async (request, reply) => {
    const body = parseCompletionRequest(parseJsonBody(request.body));
    return await answer(context, {
      reply,
      stream: body.stream,
      idPrefix: "cmpl-",
      prepare: (preparation) => prepareCompletion(body, preparation),
      writers: (identity) => ({
        choice: (index) => createCompletionChunkWriter(identity, index),
        usage: (total) => usageChunk("text_completion", identity, total),
      }),
      whole: (identity, { choices, total }) => toCompletion(identity, choices, total),
    });
  });
  addTokenRoutes(server, context);
  server.post("/v1/embeddings", async (request, reply) => {
    const body = parseEmbeddingsRequest(parseJsonBody(request.body));
    const answered = await untilClientLeaves(context, reply.raw, (signal) =>
      embeddings(body, context.engine, { model: context.modelId, signal }),
    );
    tellPrompt(reply, answered.usage.prompt_tokens);
    return answered;
  });
  server.post("/v1/rerank", async (request, reply) => {
    const body = parseRerankRequest(parseJsonBody(request.body));
    const answered = { id: `rerank-${randomBytes(12).toString("hex")}`, model: context.modelId };
    const ranked = await untilClientLeaves(context, reply.raw, (signal) =>
      rerank(body, context.engine, { ...answered, signal }),
    );
    tellPrompt(reply, ranked.usage.total_tokens);
    return ranked;
  });
}

const tellPrompt = (reply: FastifyReply, promptTokens: number): void => {
  reply.header(USAGE_HEADER, formatUsage({ ...NO_USAGE, promptTokens }));
};

function addTokenRoutes(server: FastifyInstance, { engine, modelId }: RouteContext): void {
  const count = (tokens: readonly number[]): CountTokensResponse => ({
    model: modelId,
    count: tokens.length,
    max_model_len: engine.facts.context_tokens,
  });
  server.post("/v1/tokenize", (request): TokenizeResponse => {
    const tokens = [...tokensOf(parseTokenizeRequest(parseJsonBody(request.body)), engine)];
    return { ...count(tokens), tokens };
  });
  server.post("/v1/count_tokens", (request) =>
    count(tokensOf(parseTokenizeRequest(parseJsonBody(request.body)), engine)),
  );
  server.post("/v1/detokenize", (request): DetokenizeResponse => {
    const body = parseDetokenizeRequest(parseJsonBody(request.body));
    return { model: modelId, prompt: textOfTokens(body, engine) };
  });
}

const newCallId = (): string => `call_${randomBytes(12).toString("hex")}`;

function health(engine: InferenceEngine): WorkerHealth {
  const { slots, busy, queued, maxQueued } = engine.occupancy;
  return { status: "ok", slots, slots_busy: busy, slots_free: slots - busy, queued, max_queued: maxQueued };
}

interface AnswerRoute {
  readonly reply: FastifyReply;
  readonly stream: boolean;
  readonly idPrefix: string;
  readonly prepare: (context: PrepareContext) => PreparedAnswer;
  readonly writers: (identity: AnswerIdentity) => AnswerWriters;
  readonly whole: (identity: AnswerIdentity, answer: CollectedAnswer) => unknown;
}

/** What can fail before the answer starts fails with a status; see `streamAnswer` for the rest. */
async function answer(context: RouteContext, route: AnswerRoute): Promise<unknown> {
  const { engine, clock, logger } = context;
  const arrivedAtMs = clock.monotonicMs();
  return await untilClientLeaves(context, route.reply.raw, async (signal, abort) => {
    const prepared = route.prepare({ engine, signal, randomSeed: randomInt(2 ** 31) });
    const admitted = engine.admit(prepared.choices[0].job);
    const isTraced = parseTraceparent(route.reply.request.headers["traceparent"])?.sampled === true;
    const running: RunningAnswer = { prepared, engine, admitted, clock, arrivedAtMs, isTraced, abort };
    const identity = {
      id: route.idPrefix + randomBytes(12).toString("hex"),
      created: Math.floor(clock.nowMs() / 1000),
      model: context.modelId,
    };
    if (!route.stream) {
      const whole = await collectAnswer(running);
      route.reply.header(USAGE_HEADER, formatUsage(toTokenUsage(whole.total.usage)));
      if (isTraced) route.reply.header(TIMINGS_HEADER, formatTimings(timingsOf(whole.total)));
      return route.whole(identity, whole);
    }
    route.reply.hijack();
    try {
      await streamAnswer(running, route.writers(identity), route.reply.raw);
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
  run: (signal: AbortSignal, abort: (reason: unknown) => void) => Promise<Result>,
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
    return await run(controller.signal, (reason) => controller.abort(reason));
  } finally {
    context.inFlight.delete(controller);
  }
}
