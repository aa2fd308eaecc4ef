import { once } from "node:events";
import type { ServerResponse } from "node:http";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Dispatcher } from "undici";
import { CortexError, systemErrorCode, toCortexError } from "../../../core/errors.ts";
import { parseJson } from "../../../core/json.ts";
import { createHttpServer } from "../../../platform/http-server.ts";
import type { Logger } from "../../../platform/logger.ts";
import { toErrorResponse } from "../../../protocol/error-envelope.ts";
import { formatUsage, USAGE_HEADER } from "../../../protocol/headers/usage-header.ts";
import { readBoundedText } from "../../../protocol/io/bounded-body.ts";
import type { WorkerHealth } from "../../../protocol/openai/chat.ts";
import { MEDIA_ROUTES } from "../../../protocol/openai/media-routes.ts";
import { QUEUED_PER_SLOT } from "../../../protocol/worker-messages.ts";
import { readRefusal } from "../engine-refusal.ts";
import { toEngineRequest, toMediaRequest, type EngineRequest } from "../engine-request.ts";
import { usageOf, UsageWatch } from "../usage-watch.ts";
import type { RunningExternal } from "./external-engine.ts";

/** A whole answer is held to read its usage, which goes into the head. */
const LONGEST_ANSWER_MIB = 64;
const LONGEST_REFUSAL_MIB = 1;
const LONGEST_LOGGED = 2_000;
const RELAYED_ROUTES = ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/rerank"] as const;
const TOKEN_ROUTES = ["/v1/tokenize", "/v1/detokenize", "/v1/count_tokens"] as const;

export interface ExternalServer {
  readonly http: FastifyInstance;
  /** Ends what is in flight with `draining`. */
  abort(): void;
}

/** What a worker serves, answered by an external engine. */
export function createExternalServer(engine: RunningExternal, logger: Logger): ExternalServer {
  const http = createHttpServer({ logger, errorResponse: toErrorResponse });
  const inFlight = new Set<AbortController>();
  const relay = new EngineRelay(engine, logger);
  http.get("/health", (): WorkerHealth => {
    const { parallel: slots } = engine.facts;
    const busy = Math.min(slots, inFlight.size);
    const queued = inFlight.size - busy;
    const max = QUEUED_PER_SLOT * slots;
    return { status: "ok", slots, slots_busy: busy, slots_free: slots - busy, queued, max_queued: max };
  });
  for (const route of [...RELAYED_ROUTES, ...MEDIA_ROUTES.keys()]) {
    const isMedia = MEDIA_ROUTES.has(route);
    http.post(route, async (request, reply) => {
      const controller = new AbortController();
      const onClose = (): void => {
        if (!reply.raw.writableFinished) controller.abort();
      };
      reply.raw.once("close", onClose);
      inFlight.add(controller);
      try {
        const { signal } = controller;
        return isMedia
          ? await relay.pass(request, reply, signal)
          : await relay.answer(request, reply, signal);
      } finally {
        inFlight.delete(controller);
      }
    });
  }
  for (const route of TOKEN_ROUTES) {
    http.post(route, () => {
      throw new CortexError("engine_refused", "tokens of an external engine's model are not counted here");
    });
  }
  return {
    http,
    abort: () => {
      const reason = new CortexError("draining", "the model is being unloaded");
      for (const controller of inFlight) controller.abort(reason);
    },
  };
}

class EngineRelay {
  readonly #engine: RunningExternal;
  readonly #logger: Logger;
  /** False once the engine has refused to be asked for the usage of a stream. */
  #asksUsage = true;

  constructor(engine: RunningExternal, logger: Logger) {
    this.#engine = engine;
    this.#logger = logger;
  }

  async answer(request: FastifyRequest, reply: FastifyReply, signal: AbortSignal): Promise<unknown> {
    const asked = this.#map(request.body as Buffer);
    const response = await this.#ask(request, asked, signal);
    if (response.statusCode < 200 || response.statusCode >= 300) {
      return await this.#refused(request, { asked, response, reply, signal });
    }
    if (isEventStream(response)) return await this.#stream(response, { asked, reply, signal });
    const text = await readBoundedText(response.body, LONGEST_ANSWER_MIB);
    const usage = usageOf(parseJson(text));
    if (usage !== undefined) void reply.header(USAGE_HEADER, formatUsage(usage));
    void reply.type(String(response.headers["content-type"] ?? "application/json"));
    return text;
  }

  /** Sounds and pictures, and what is said about them: passed as they come, to their end or to where they break off. */
  async pass(request: FastifyRequest, reply: FastifyReply, signal: AbortSignal): Promise<unknown> {
    const contentType = request.headers["content-type"];
    const body = toMediaRequest(request.body as Buffer, { servedAs: this.#engine.servedAs, contentType });
    const asked = { body, isStream: false, usageIsOurs: false };
    const response = await this.#ask(request, asked, signal);
    if (response.statusCode < 200 || response.statusCode >= 300) {
      return await this.#refused(request, { asked, response, reply, signal });
    }
    reply.hijack();
    const { raw } = reply;
    const { "content-type": type, "content-length": length } = response.headers;
    raw.writeHead(200, {
      "content-type": String(type ?? "application/octet-stream"),
      ...(typeof length === "string" ? { "content-length": length } : {}),
    });
    try {
      for await (const chunk of response.body) await write(raw, chunk as Buffer, signal);
      raw.end();
    } catch (thrown) {
      if (!signal.aborted) this.#logger.warn({ err: toCortexError(thrown) }, "the engine cut its answer");
      raw.destroy();
    }
    return reply;
  }

  #map(body: Buffer): EngineRequest {
    return toEngineRequest(body, { servedAs: this.#engine.servedAs, asksUsage: this.#asksUsage });
  }

  async #ask(
    request: FastifyRequest,
    { body }: EngineRequest,
    signal: AbortSignal,
  ): Promise<Dispatcher.ResponseData> {
    try {
      return await this.#engine.client.send(request.url, { headers: request.headers, body, signal });
    } catch (thrown) {
      if (signal.aborted) throw signal.reason instanceof CortexError ? signal.reason : thrown;
      throw new CortexError(
        "engine_unreachable",
        `the external engine does not answer: ${systemErrorCode(thrown) ?? "the connection broke"}`,
        { cause: thrown },
      );
    }
  }

  /** An engine that does not know `stream_options` is asked again without it, once and for all. */
  async #refused(
    request: FastifyRequest,
    exchange: {
      readonly asked: EngineRequest;
      readonly response: Dispatcher.ResponseData;
      readonly reply: FastifyReply;
      readonly signal: AbortSignal;
    },
  ): Promise<unknown> {
    const { asked, response, reply, signal } = exchange;
    const text = await readBoundedText(response.body, LONGEST_REFUSAL_MIB).catch(() => "");
    const { statusCode: status } = response;
    if (asked.usageIsOurs && this.#asksUsage && status < 500 && text.includes("stream_options")) {
      this.#asksUsage = false;
      return await this.answer(request, reply, signal);
    }
    // Perhaps it was renewed; the request that found out is answered with the refusal.
    if (status === 401 || status === 403) await this.#engine.client.readToken().catch(() => undefined);
    const refusal = readRefusal(status, text);
    if (refusal.code === "engine_error") {
      this.#logger.warn({ status, said: text.slice(0, LONGEST_LOGGED) }, "the engine failed");
    }
    throw refusal;
  }

  async #stream(
    response: Dispatcher.ResponseData,
    exchange: { readonly asked: EngineRequest; readonly reply: FastifyReply; readonly signal: AbortSignal },
  ): Promise<FastifyReply> {
    const { asked, reply, signal } = exchange;
    const watch = new UsageWatch({ keepsBack: asked.usageIsOurs });
    reply.hijack();
    const { raw } = reply;
    raw.writeHead(200, {
      "content-type": "text/event-stream",
      "cache-control": "no-cache",
      trailer: USAGE_HEADER,
    });
    raw.flushHeaders();
    try {
      for await (const chunk of response.body) await write(raw, watch.push(chunk as Buffer), signal);
      await write(raw, watch.rest(), signal);
      if (watch.usage !== undefined) raw.addTrailers({ [USAGE_HEADER]: formatUsage(watch.usage) });
      raw.end();
    } catch (thrown) {
      // Without an end the stream cannot be taken for a whole one; the neuron says the rest.
      if (!signal.aborted) this.#logger.warn({ err: toCortexError(thrown) }, "the engine cut its answer");
      raw.destroy();
    }
    return reply;
  }
}

const isEventStream = ({ headers }: Dispatcher.ResponseData): boolean =>
  String(headers["content-type"] ?? "").startsWith("text/event-stream");

async function write(raw: ServerResponse, bytes: Buffer, signal: AbortSignal): Promise<void> {
  if (bytes.length === 0) return;
  if (!raw.write(bytes)) await once(raw, "drain", { signal });
}
