import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { ServerResponse } from "node:http";
import type { FastifyInstance, FastifyReply } from "fastify";
import { createHttpServer, parseJsonBody } from "../../../platform/http-server.ts";
import type { Logger } from "../../../platform/logger.ts";
import { toErrorResponse } from "../../../protocol/error-envelope.ts";
import { formatUsage, NO_USAGE, USAGE_HEADER } from "../../../protocol/headers/usage-header.ts";
import type { ModelScript, ScriptedAnswer } from "../../../protocol/worker-messages.ts";
import { parseChatRequest, parseCompletionRequest } from "../../../protocol/openai/request.ts";
import { deltasOf, finishOf, ScriptedAnswers, wordsOf } from "../scripted-answer.ts";

export interface ScriptedModel {
  readonly modelId: string;
  readonly script: ModelScript;
  /** Ends the process as a fault of native code would. */
  readonly crash: () => void;
}

/** Chat and completions as the script has them. */
export function createScriptedServer(model: ScriptedModel, logger: Logger): FastifyInstance {
  const http = createHttpServer({ logger, errorResponse: toErrorResponse });
  const answers = new ScriptedAnswers(model.script);
  const slots = { slots: 1, slots_busy: 0, slots_free: 1, queued: 0, max_queued: 8 };
  http.get("/health", () => ({ status: "ok", ...slots }));
  http.post("/v1/chat/completions", async (request, reply) => {
    const body = parseJsonBody(request.body);
    const { stream, stream_options: options } = parseChatRequest(body);
    const turn = new ScriptedTurn(model, { body, reply, ...answers.next(body), shape: "chat" });
    return stream ? await turn.stream(options?.include_usage === true) : await turn.whole();
  });
  http.post("/v1/completions", async (request, reply) => {
    const body = parseJsonBody(request.body);
    const { stream, stream_options: options } = parseCompletionRequest(body);
    const turn = new ScriptedTurn(model, { body, reply, ...answers.next(body), shape: "text" });
    return stream ? await turn.stream(options?.include_usage === true) : await turn.whole();
  });
  return http;
}

interface Turn {
  readonly body: unknown;
  readonly reply: FastifyReply;
  readonly answer: ScriptedAnswer;
  readonly isFaulty: boolean;
  readonly shape: "chat" | "text";
}

class ScriptedTurn {
  readonly #model: ScriptedModel;
  readonly #turn: Turn;
  readonly #id = randomBytes(8).toString("hex");
  readonly #gone = new AbortController();

  constructor(model: ScriptedModel, turn: Turn) {
    this.#model = model;
    this.#turn = turn;
    turn.reply.raw.once("close", () => this.#gone.abort());
  }

  async whole(): Promise<unknown> {
    const { answer, reply, shape } = this.#turn;
    for (const [at] of this.#deltas().entries()) await this.#token(at);
    void reply.header(USAGE_HEADER, formatUsage(this.#usage()));
    const { promptTokens: prompt, completionTokens: completion } = this.#usage();
    const message = {
      role: "assistant",
      content: answer.text,
      ...(answer.reasoning === "" ? {} : { reasoning_content: answer.reasoning }),
      ...(answer.tool_calls.length === 0
        ? {}
        : {
            tool_calls: answer.tool_calls.map(({ name, arguments: given }, at) => ({
              id: this.#callId(at),
              type: "function",
              function: { name, arguments: JSON.stringify(given) },
            })),
          }),
    };
    const said = shape === "chat" ? { message } : { text: answer.text };
    return {
      ...this.#head(""),
      choices: [{ index: 0, ...said, finish_reason: finishOf(answer) }],
      usage: { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion },
    };
  }

  async stream(tellsUsage: boolean): Promise<FastifyReply> {
    const { answer, reply } = this.#turn;
    reply.hijack();
    const { raw } = reply;
    raw.writeHead(200, { "content-type": "text/event-stream", trailer: USAGE_HEADER });
    raw.flushHeaders();
    for (const [at, delta] of this.#deltas().entries()) {
      await this.#token(at);
      if (this.#gone.signal.aborted) return reply;
      this.#send(raw, { choices: [{ index: 0, ...this.#said(delta), finish_reason: null }] });
    }
    this.#send(raw, { choices: [{ index: 0, ...this.#said({}), finish_reason: finishOf(answer) }] });
    const usage = this.#usage();
    const { promptTokens: prompt, completionTokens: completion } = usage;
    const told = { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion };
    if (tellsUsage) this.#send(raw, { choices: [], usage: told });
    raw.addTrailers({ [USAGE_HEADER]: formatUsage(usage) });
    raw.end("data: [DONE]\n\n");
    return reply;
  }

  #deltas(): readonly object[] {
    return deltasOf(this.#turn.answer, (at) => this.#callId(at));
  }

  #said(delta: object): object {
    if (this.#turn.shape === "chat") return { delta };
    return { text: "content" in delta ? delta.content : "" };
  }

  /** The time of a token, and the fault that is due before it. */
  async #token(at: number): Promise<void> {
    const { script, crash } = this.#model;
    const signal = this.#gone.signal;
    const hangs = this.#turn.isFaulty && at === script.hang_after_tokens;
    const wait = hangs ? 2 ** 31 - 1 : 1000 / script.tokens_per_sec;
    await delay(wait, undefined, { signal }).catch(() => undefined);
    // After the wait: what was said before it is out by then.
    if (this.#turn.isFaulty && at === script.crash_after_tokens) crash();
  }

  #usage() {
    const { answer, body } = this.#turn;
    return {
      ...NO_USAGE,
      promptTokens: wordsOf(JSON.stringify(body)).length,
      completionTokens: this.#deltas().length,
      reasoningTokens: wordsOf(answer.reasoning).length,
    };
  }

  #send(raw: ServerResponse, event: object): void {
    raw.write(`data: ${JSON.stringify({ ...this.#head(".chunk"), ...event })}\n\n`);
  }

  #head(suffix: string): object {
    const isChat = this.#turn.shape === "chat";
    return {
      id: `${isChat ? "chatcmpl" : "cmpl"}-${this.#id}`,
      object: isChat ? `chat.completion${suffix}` : "text_completion",
      created: Math.floor(Date.now() / 1000),
      model: this.#model.modelId,
    };
  }

  #callId(at: number): string {
    return `call_${this.#id}_${at}`;
  }
}
