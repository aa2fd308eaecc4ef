import { z } from "zod";
import { bearer } from "../../protocol/headers/bearer.ts";
import { chatGrammar, chatUsageSchema } from "../grammar/chat-grammar.ts";
import { firstIssue } from "../grammar/read-event.ts";
import {
  responsesGrammar,
  responsesItemSchema,
  responsesUsageSchema,
  stopOfResponse,
  toldByItems,
} from "../grammar/responses-grammar.ts";
import { breach } from "../grammar/stream-grammar.ts";
import type { ConformDialect, ListedModel, Question } from "./conform-dialect.ts";

const modelsSchema = z.looseObject({
  object: z.literal("list"),
  data: z.array(
    z.looseObject({
      id: z.string(),
      object: z.literal("model"),
      created: z.int(),
      owned_by: z.string(),
      max_model_len: z.int().nullish(),
    }),
  ),
});

const listedModels = (list: unknown): ListedModel[] =>
  modelsSchema.parse(list).data.map(({ id, max_model_len: context }) => ({ id, context: context ?? null }));

const errorSchema = z.looseObject({
  error: z.looseObject({
    message: z.string().min(1),
    type: z.string(),
    param: z.string().nullable(),
    code: z.string().nullable(),
  }),
});

const overflowSchema = z.looseObject({
  error: z.looseObject({ message: z.string(), code: z.string().nullish() }),
});

/** Agents look for the code, some for the words. */
function knowsOverflow(status: number, body: unknown): boolean {
  const { data } = overflowSchema.safeParse(body);
  if (status !== 400 || data === undefined) return false;
  const { code, message } = data.error;
  return code === "context_length_exceeded" && /maximum context length is \d+ tokens/.test(message);
}

const completionSchema = z.looseObject({
  id: z.string(),
  object: z.literal("chat.completion"),
  created: z.int(),
  model: z.string(),
  choices: z
    .array(
      z.looseObject({
        index: z.literal(0),
        message: z.looseObject({
          role: z.literal("assistant"),
          content: z.string().nullable(),
          reasoning_content: z.string().nullish(),
          tool_calls: z
            .array(
              z.looseObject({
                id: z.string(),
                type: z.literal("function"),
                function: z.looseObject({ name: z.string(), arguments: z.string() }),
              }),
            )
            .nullish(),
        }),
        finish_reason: z.string(),
      }),
    )
    .length(1),
  usage: chatUsageSchema.nullish(),
});

function chatMessages({ text, called }: Question): readonly unknown[] {
  const user = { role: "user", content: text };
  if (called === undefined) return [user];
  const { id, name, json } = called.call;
  const call = { id, type: "function", function: { name, arguments: json } };
  return [
    user,
    { role: "assistant", content: null, tool_calls: [call] },
    { role: "tool", tool_call_id: id, content: called.result },
  ];
}

const shared = {
  modelsPath: "/v1/models",
  headers: bearer,
  models: listedModels,
  errorSchema,
  framing: "events",
  streamType: "text/event-stream",
  knowsOverflow,
} as const;

/** `POST /v1/chat/completions`. */
export const OPENAI: ConformDialect = {
  ...shared,
  path: "/v1/chat/completions",
  body: (model, question) => ({
    model,
    messages: chatMessages(question),
    temperature: 0,
    max_tokens: question.limit,
    ...(question.tools === undefined
      ? {}
      : { tools: question.tools.map((tool) => ({ type: "function", function: tool })) }),
    ...(question.demand === undefined
      ? {}
      : { tool_choice: { type: "function", function: { name: question.demand } } }),
    ...(question.stream ? { stream: true, stream_options: { include_usage: true } } : {}),
  }),
  whole(answer) {
    const parsed = completionSchema.safeParse(answer);
    if (!parsed.success) return { breaches: [breach("whole-shape", firstIssue(parsed.error))] };
    const { choices, usage, model } = parsed.data;
    const [choice] = choices;
    const { content, reasoning_content: thinking, tool_calls: calls } = choice?.message ?? {};
    return {
      breaches: [],
      told: {
        model,
        text: content ?? "",
        thinking: thinking ?? "",
        calls: (calls ?? []).map(({ id, function: called }) => ({
          id,
          name: called.name,
          json: called.arguments,
        })),
        stop: choice?.finish_reason ?? null,
        usage: usage == null ? null : { input: usage.prompt_tokens, output: usage.completion_tokens },
      },
    };
  },
  grammar: chatGrammar,
  streamRules: ["chat-unnamed", "chat-chunk", "chat-id", "chat-finish", "chat-usage"],
  stops: ["stop", "length", "tool_calls", "content_filter"],
  limitStop: "length",
  toolStop: "tool_calls",
  hints: { user: "u", metadata: {}, store: false, service_tier: "auto", prompt_cache_key: "k" },
  wrongStatuses: [400, 422],
};

const responseSchema = z.looseObject({
  id: z.string().min(1),
  object: z.literal("response"),
  created_at: z.number(),
  model: z.string(),
  status: z.string(),
  output: z.array(responsesItemSchema),
  incomplete_details: z.looseObject({ reason: z.string() }).nullish(),
  usage: responsesUsageSchema.nullish(),
});

function inputItems({ text, called }: Question): readonly unknown[] {
  const user = { type: "message", role: "user", content: [{ type: "input_text", text }] };
  if (called === undefined) return [user];
  const { id, name, json } = called.call;
  return [
    user,
    { type: "function_call", call_id: id, name, arguments: json },
    { type: "function_call_output", call_id: id, output: called.result },
  ];
}

/** `POST /v1/responses`. */
export const RESPONSES: ConformDialect = {
  ...shared,
  path: "/v1/responses",
  body: (model, question) => ({
    model,
    input: inputItems(question),
    temperature: 0,
    max_output_tokens: question.limit,
    store: false,
    ...(question.tools === undefined
      ? {}
      : { tools: question.tools.map((tool) => ({ type: "function", strict: false, ...tool })) }),
    ...(question.demand === undefined ? {} : { tool_choice: { type: "function", name: question.demand } }),
    ...(question.stream ? { stream: true } : {}),
  }),
  whole(answer) {
    const parsed = responseSchema.safeParse(answer);
    if (!parsed.success) return { breaches: [breach("whole-shape", firstIssue(parsed.error))] };
    const { output, usage, model } = parsed.data;
    return {
      breaches: [],
      told: {
        model,
        ...toldByItems(output),
        stop: stopOfResponse(parsed.data),
        usage: usage == null ? null : { input: usage.input_tokens, output: usage.output_tokens },
      },
    };
  },
  grammar: responsesGrammar,
  streamRules: [
    "responses-named",
    "responses-sequence",
    "responses-created",
    "responses-items",
    "responses-item-whole",
    "responses-output",
  ],
  stops: ["completed", "max_output_tokens", "content_filter"],
  limitStop: "max_output_tokens",
  toolStop: null,
  hints: {
    prompt_cache_key: "k",
    client_metadata: { session: "s" },
    include: ["reasoning.encrypted_content"],
    truncation: "disabled",
    conform_unknown_field: { is: true },
  },
  // Agents repeat a 422 five times.
  wrongStatuses: [400],
};
