import { z } from "zod";
import { parseJson } from "../../core/json.ts";
import { messagesGrammar, messagesUsageSchema, promptTokens } from "../grammar/messages-grammar.ts";
import { firstIssue } from "../grammar/read-event.ts";
import { breach } from "../grammar/stream-grammar.ts";
import type { ConformDialect, Question } from "./conform-dialect.ts";

const modelsSchema = z.looseObject({
  data: z.array(
    z.looseObject({
      type: z.literal("model"),
      id: z.string(),
      display_name: z.string(),
      created_at: z.string(),
      max_input_tokens: z.int().nullish(),
    }),
  ),
  has_more: z.boolean(),
});

const errorSchema = z.looseObject({
  type: z.literal("error"),
  error: z.looseObject({ type: z.string(), message: z.string().min(1) }),
});

const messageSchema = z.looseObject({
  id: z.string().min(1),
  type: z.literal("message"),
  role: z.literal("assistant"),
  model: z.string(),
  content: z.array(
    z.discriminatedUnion("type", [
      z.looseObject({ type: z.literal("text"), text: z.string().min(1) }),
      z.looseObject({ type: z.literal("thinking"), thinking: z.string(), signature: z.string() }),
      z.looseObject({
        type: z.literal("tool_use"),
        id: z.string(),
        name: z.string(),
        input: z.record(z.string(), z.unknown()),
      }),
    ]),
  ),
  stop_reason: z.string(),
  usage: messagesUsageSchema,
});

function messages({ text, called }: Question): readonly unknown[] {
  const user = { role: "user", content: text };
  if (called === undefined) return [user];
  const { id, name, json } = called.call;
  return [
    user,
    { role: "assistant", content: [{ type: "tool_use", id, name, input: parseJson(json) ?? {} }] },
    { role: "user", content: [{ type: "tool_result", tool_use_id: id, content: called.result }] },
  ];
}

/** `POST /v1/messages`. */
export const ANTHROPIC: ConformDialect = {
  path: "/v1/messages",
  modelsPath: "/v1/models",
  headers: (apiKey) => ({
    "anthropic-version": "2023-06-01",
    ...(apiKey === undefined ? {} : { "x-api-key": apiKey }),
  }),
  body: (model, question) => ({
    model,
    messages: messages(question),
    temperature: 0,
    max_tokens: question.limit,
    ...(question.tools === undefined
      ? {}
      : {
          tools: question.tools.map(({ parameters, ...tool }) => ({ ...tool, input_schema: parameters })),
        }),
    ...(question.demand === undefined ? {} : { tool_choice: { type: "tool", name: question.demand } }),
    ...(question.stream ? { stream: true } : {}),
  }),
  models: (list) =>
    modelsSchema
      .parse(list)
      .data.map(({ id, max_input_tokens: context }) => ({ id, context: context ?? null })),
  whole(answer) {
    const parsed = messageSchema.safeParse(answer);
    if (!parsed.success) return { breaches: [breach("whole-shape", firstIssue(parsed.error))] };
    const { content, model, stop_reason: stop, usage } = parsed.data;
    return {
      breaches: [],
      told: {
        model,
        text: content.flatMap((block) => (block.type === "text" ? [block.text] : [])).join(""),
        thinking: content.flatMap((block) => (block.type === "thinking" ? [block.thinking] : [])).join(""),
        calls: content.flatMap((block) =>
          block.type === "tool_use"
            ? [{ id: block.id, name: block.name, json: JSON.stringify(block.input) }]
            : [],
        ),
        stop,
        usage: { input: promptTokens(usage), output: usage.output_tokens },
      },
    };
  },
  errorSchema,
  grammar: messagesGrammar,
  streamRules: [
    "messages-named",
    "messages-start",
    "messages-blocks",
    "messages-deltas",
    "messages-empty-text",
    "messages-stop",
  ],
  framing: "events",
  streamType: "text/event-stream",
  stops: ["end_turn", "max_tokens", "stop_sequence", "tool_use", "refusal", "pause_turn"],
  limitStop: "max_tokens",
  toolStop: "tool_use",
  hints: {
    metadata: { user_id: "u" },
    context_management: { edits: [] },
    thinking: { type: "adaptive" },
    conform_unknown_field: { is: true },
  },
  knowsOverflow: (status, body) =>
    status === 413 ||
    (status === 400 &&
      /prompt is too long: \d+ tokens > \d+ maximum/.test(
        errorSchema.safeParse(body).data?.error.message ?? "",
      )),
  wrongStatuses: [400, 422],
};
