import { z } from "zod";
import { parseJson } from "../../core/json.ts";
import { bearer } from "../../protocol/headers/bearer.ts";
import { ollamaCall, ollamaCallSchema, ollamaEndSchema, ollamaGrammar } from "../grammar/ollama-grammar.ts";
import { firstIssue } from "../grammar/read-event.ts";
import { breach } from "../grammar/stream-grammar.ts";
import type { ConformDialect, Question } from "./conform-dialect.ts";

const tagsSchema = z.looseObject({
  models: z.array(
    z.looseObject({
      name: z.string(),
      model: z.string(),
      modified_at: z.string(),
      size: z.number(),
      digest: z.string(),
      details: z.looseObject({}),
    }),
  ),
});

const chatSchema = ollamaEndSchema.extend({
  model: z.string(),
  created_at: z.string(),
  message: z.looseObject({
    role: z.literal("assistant"),
    content: z.string(),
    thinking: z.string().nullish(),
    tool_calls: z.array(ollamaCallSchema).nullish(),
  }),
  done: z.literal(true),
});

function messages({ text, called }: Question): readonly unknown[] {
  const user = { role: "user", content: text };
  if (called === undefined) return [user];
  const { name, json } = called.call;
  const call = { function: { name, arguments: parseJson(json) ?? {} } };
  return [
    user,
    { role: "assistant", content: "", tool_calls: [call] },
    { role: "tool", tool_name: name, content: called.result },
  ];
}

/** `POST /api/chat`. A tool cannot be demanded there. */
export const OLLAMA: ConformDialect = {
  path: "/api/chat",
  modelsPath: "/api/tags",
  headers: bearer,
  body: (model, question) => ({
    model,
    messages: messages(question),
    options: { temperature: 0, num_predict: question.limit },
    ...(question.tools === undefined
      ? {}
      : { tools: question.tools.map((tool) => ({ type: "function", function: tool })) }),
    stream: question.stream,
  }),
  models: (list) => tagsSchema.parse(list).models.map(({ name }) => ({ id: name, context: null })),
  whole(answer) {
    const parsed = chatSchema.safeParse(answer);
    if (!parsed.success) return { breaches: [breach("whole-shape", firstIssue(parsed.error))] };
    const { message, model, done_reason: stop, prompt_eval_count: input, eval_count: output } = parsed.data;
    return {
      breaches: [],
      told: {
        model,
        text: message.content,
        thinking: message.thinking ?? "",
        calls: (message.tool_calls ?? []).map(ollamaCall),
        stop,
        usage: { input, output },
      },
    };
  },
  errorSchema: z.looseObject({ error: z.string().min(1) }),
  grammar: ollamaGrammar,
  streamRules: ["ollama-line", "ollama-done"],
  framing: "lines",
  streamType: "application/x-ndjson",
  stops: ["stop", "length"],
  limitStop: "length",
  toolStop: null,
  hints: { keep_alive: "5m", conform_unknown_field: { is: true } },
  knowsOverflow: null,
  wrongStatuses: [400, 422],
};
