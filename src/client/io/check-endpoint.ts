import { request } from "undici";
import { z } from "zod";
import type { Clock } from "../../core/clock.ts";
import { CortexError, toCortexError } from "../../core/errors.ts";
import { sampleChatRequest, sampleToolRequest } from "../sample-questions.ts";
import { fromErrorResponse } from "../../protocol/error-envelope.ts";
import { bearer } from "../../protocol/headers/bearer.ts";
import { askOnce } from "./ask-once.ts";

const modelListSchema = z.object({
  data: z.array(
    z.object({ id: z.string(), loaded: z.boolean().optional(), tool_call: z.boolean().optional() }),
  ),
});

export interface EndpointCheck {
  readonly name: "models" | "chat" | "tool_call" | "unknown_model";
  readonly outcome: "passed" | "failed" | "skipped";
  /** What was seen, in words. */
  readonly detail: string;
  readonly durationMs: number;
}

export interface CheckEndpointOptions {
  readonly baseUrl: string;
  /** Where the endpoint asks for one. */
  readonly apiKey?: string | undefined;
  /** Absent: the first model of the list. */
  readonly model?: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Uses an endpoint as a client would, step by step; a step that fails does not keep the others from being tried. */
export async function checkEndpoint(
  options: CheckEndpointOptions,
): Promise<{ readonly model: string; readonly checks: readonly EndpointCheck[] }> {
  const listed = await timed(options, "models", () => listModels(options));
  const models = listed.value ?? [];
  const model = options.model ?? models[0]?.id;
  if (model === undefined) return { model: "", checks: [listed.check] };
  const chat = await timed(options, "chat", () => checkChat(options, model));
  const offersTools = models.find(({ id }) => id === model)?.tool_call ?? false;
  const tools = offersTools
    ? await timed(options, "tool_call", () => checkToolCall(options, model))
    : { check: skipped("tool_call", "the model does not offer tool calls") };
  const unknown = await timed(options, "unknown_model", () => checkUnknownModel(options));
  return { model, checks: [listed.check, chat.check, tools.check, unknown.check] };
}

type ModelList = z.infer<typeof modelListSchema>["data"];

interface Seen<Value> {
  readonly detail: string;
  readonly value?: Value;
}

const skipped = (name: EndpointCheck["name"], detail: string): EndpointCheck => ({
  name,
  outcome: "skipped",
  detail,
  durationMs: 0,
});

async function timed<Value>(
  options: CheckEndpointOptions,
  name: EndpointCheck["name"],
  step: () => Promise<Seen<Value>>,
): Promise<{ readonly check: EndpointCheck; readonly value?: Value | undefined }> {
  const startedMs = options.clock.monotonicMs();
  const took = () => options.clock.monotonicMs() - startedMs;
  try {
    const { detail, value } = await step();
    return { check: { name, outcome: "passed", detail, durationMs: took() }, value };
  } catch (thrown) {
    const error = toCortexError(thrown);
    const detail = `${error.message} (${error.code})`;
    return { check: { name, outcome: "failed", detail, durationMs: took() } };
  }
}

async function listModels(options: CheckEndpointOptions): Promise<Seen<ModelList>> {
  const headers = bearer(options.apiKey);
  const response = await request(`${options.baseUrl}/v1/models`, { headers, signal: options.signal }).catch(
    (thrown: unknown) => {
      throw new CortexError("upstream_connection_error", `${options.baseUrl} does not answer`, {
        cause: thrown,
      });
    },
  );
  const body: unknown = await response.body.json();
  if (response.statusCode !== 200) {
    throw fromErrorResponse(response.statusCode, body, "upstream_connection_error");
  }
  const list = modelListSchema.parse(body);
  if (list.data.length === 0) throw new CortexError("model_not_found", "the endpoint offers no model");
  return { detail: list.data.map(({ id }) => id).join(", "), value: list.data };
}

async function checkChat(options: CheckEndpointOptions, model: string): Promise<Seen<never>> {
  const answer = await askOnce({ ...options, body: sampleChatRequest(model) });
  if (answer.completionTokens === 0) throw new CortexError("internal_error", "the answer has no tokens");
  const speed = answer.tokensPerSecond === null ? "" : `, ${answer.tokensPerSecond.toFixed(0)} tok/s`;
  const shown = JSON.stringify(answer.text.slice(0, 120));
  return { detail: `${shown} (first token after ${answer.firstTokenMs.toFixed(0)} ms${speed})` };
}

async function checkToolCall(options: CheckEndpointOptions, model: string): Promise<Seen<never>> {
  const answer = await askOnce({ ...options, body: sampleToolRequest(model) });
  const [call] = answer.toolCalls;
  if (call === undefined) {
    throw new CortexError(
      "internal_error",
      `answered in words instead: ${JSON.stringify(answer.text.slice(0, 120))}`,
    );
  }
  JSON.parse(call.arguments);
  return { detail: `${call.name}(${call.arguments})` };
}

async function checkUnknownModel(options: CheckEndpointOptions): Promise<Seen<never>> {
  const response = await request(`${options.baseUrl}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", ...bearer(options.apiKey) },
    body: JSON.stringify({ model: "no-such-model", messages: [{ role: "user", content: "hello" }] }),
    signal: options.signal,
  });
  await response.body.dump();
  if (response.statusCode !== 404)
    throw new CortexError("internal_error", `HTTP ${response.statusCode} instead of 404`);
  return { detail: "refused with 404" };
}
