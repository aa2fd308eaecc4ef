import type { ConformDialectName } from "../../../src/client/conform/dialects.ts";

/** What the reference server says, in the words of no dialect. */
export interface Spoken {
  readonly id: number;
  readonly model: string;
  readonly thinking: string;
  readonly words: readonly string[];
  readonly call: { readonly id: string; readonly name: string; readonly json: string } | null;
  readonly isCut: boolean;
  readonly input: number;
  readonly output: number;
}

export interface SpokenEvent {
  readonly name?: string;
  /** Text is sent as it is. */
  readonly data: unknown;
}

type Fields = Record<string, unknown>;

export interface Speech {
  whole(spoken: Spoken): Fields;
  events(spoken: Spoken): SpokenEvent[];
  list(models: readonly string[]): Fields;
  error(status: number, code: string, message: string): Fields;
}

const typed = (type: string, fields: Fields): SpokenEvent => ({ name: type, data: { type, ...fields } });

const chatUsage = ({ input, output }: Spoken) => ({
  prompt_tokens: input,
  completion_tokens: output,
  total_tokens: input + output,
});
const chatStop = ({ call, isCut }: Spoken) => (call === null ? (isCut ? "length" : "stop") : "tool_calls");

const openAiList = (models: readonly string[]): Fields => ({
  object: "list",
  data: models.map((id) => ({ id, object: "model", created: 1, owned_by: "reference", max_model_len: 100 })),
});
const openAiError = (_status: number, code: string, message: string): Fields => ({
  error: { message, type: "invalid_request_error", param: null, code },
});

const openai: Speech = {
  whole: (spoken) => ({
    id: `chatcmpl-${spoken.id}`,
    object: "chat.completion",
    created: 1,
    model: spoken.model,
    choices: [
      {
        index: 0,
        message: {
          role: "assistant",
          content: spoken.call === null ? spoken.words.join("") : null,
          ...(spoken.call === null
            ? {}
            : {
                tool_calls: [
                  {
                    id: spoken.call.id,
                    type: "function",
                    function: { name: spoken.call.name, arguments: spoken.call.json },
                  },
                ],
              }),
        },
        finish_reason: chatStop(spoken),
      },
    ],
    usage: chatUsage(spoken),
  }),
  events(spoken) {
    const { id, model, call, words } = spoken;
    const head = { id: `chatcmpl-${id}`, object: "chat.completion.chunk", created: 1, model };
    const chunk = (delta: unknown, finish: string | null = null): SpokenEvent => ({
      data: { ...head, choices: [{ index: 0, delta, finish_reason: finish }] },
    });
    const piece = (fields: Fields) => chunk({ tool_calls: [{ index: 0, ...fields }] });
    const said =
      call === null
        ? words.map((content) => chunk({ content }))
        : [
            piece({ id: call.id, type: "function", function: { name: call.name, arguments: "" } }),
            piece({ function: { arguments: call.json.slice(0, 1) } }),
            piece({ function: { arguments: call.json.slice(1) } }),
          ];
    return [
      chunk({ role: "assistant", content: "" }),
      ...said,
      chunk({}, chatStop(spoken)),
      { data: { ...head, choices: [], usage: chatUsage(spoken) } },
      { data: "[DONE]" },
    ];
  },
  list: openAiList,
  error: openAiError,
};

const messageUsage = ({ input, output }: Spoken) => ({ input_tokens: input, output_tokens: output });
const messageStop = ({ call, isCut }: Spoken) =>
  call === null ? (isCut ? "max_tokens" : "end_turn") : "tool_use";

function messageHead({ id, model }: Spoken) {
  return { id: `msg_${id}`, type: "message", role: "assistant", model };
}

const anthropic: Speech = {
  whole: (spoken) => ({
    ...messageHead(spoken),
    content:
      spoken.call === null
        ? [
            { type: "thinking", thinking: spoken.thinking, signature: "c2ln" },
            { type: "text", text: spoken.words.join("") },
          ]
        : [
            {
              type: "tool_use",
              id: spoken.call.id,
              name: spoken.call.name,
              input: JSON.parse(spoken.call.json) as unknown,
            },
          ],
    stop_reason: messageStop(spoken),
    stop_sequence: null,
    usage: messageUsage(spoken),
  }),
  events(spoken) {
    const { call, words, thinking, output } = spoken;
    const begin = (index: number, block: unknown) =>
      typed("content_block_start", { index, content_block: block });
    const delta = (index: number, piece: unknown) => typed("content_block_delta", { index, delta: piece });
    const end = (index: number) => typed("content_block_stop", { index });
    const start = {
      ...messageHead(spoken),
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: messageUsage({ ...spoken, output: 0 }),
    };
    const blocks =
      call === null
        ? [
            begin(0, { type: "thinking", thinking: "", signature: "" }),
            delta(0, { type: "thinking_delta", thinking }),
            delta(0, { type: "signature_delta", signature: "c2ln" }),
            end(0),
            begin(1, { type: "text", text: "" }),
            ...words.map((text) => delta(1, { type: "text_delta", text })),
            end(1),
          ]
        : [
            begin(0, { type: "tool_use", id: call.id, name: call.name, input: {} }),
            delta(0, { type: "input_json_delta", partial_json: call.json }),
            end(0),
          ];
    return [
      typed("message_start", { message: start }),
      typed("ping", {}),
      ...blocks,
      typed("message_delta", {
        delta: { stop_reason: messageStop(spoken), stop_sequence: null },
        usage: { output_tokens: output },
      }),
      typed("message_stop", {}),
    ];
  },
  list: (models) => ({
    data: models.map((id) => ({
      type: "model",
      id,
      display_name: id,
      created_at: "2026-01-01T00:00:00Z",
      max_input_tokens: 100,
    })),
    has_more: false,
  }),
  error: (status, _code, message) => ({
    type: "error",
    error: { type: status === 404 ? "not_found_error" : "invalid_request_error", message },
  }),
};

function responseItem({ id, call, words }: Spoken, isDone: boolean): Fields {
  const status = isDone ? "completed" : "in_progress";
  if (call === null) {
    const part = { type: "output_text", text: words.join(""), annotations: [] };
    const content = isDone ? [part] : [];
    return { id: `msg_${id}`, type: "message", status, role: "assistant", content };
  }
  const called = { call_id: call.id, name: call.name, arguments: isDone ? call.json : "" };
  return { id: `fc_${id}`, type: "function_call", status, ...called };
}

function responseObject(spoken: Spoken, isDone: boolean): Fields {
  const { id, model, isCut, input, output } = spoken;
  const cut = isDone && isCut && spoken.call === null;
  return {
    id: `resp_${id}`,
    object: "response",
    created_at: 1,
    model,
    status: isDone ? (cut ? "incomplete" : "completed") : "in_progress",
    incomplete_details: cut ? { reason: "max_output_tokens" } : null,
    output: isDone ? [responseItem(spoken, true)] : [],
    usage: isDone ? { input_tokens: input, output_tokens: output, total_tokens: input + output } : null,
  };
}

const responses: Speech = {
  whole: (spoken) => responseObject(spoken, true),
  events(spoken) {
    const item = responseItem(spoken, true);
    const about = { item_id: item["id"], output_index: 0 };
    const pieces =
      spoken.call === null
        ? spoken.words.map((delta) =>
            typed("response.output_text.delta", { ...about, content_index: 0, delta }),
          )
        : [
            typed("response.function_call_arguments.delta", { ...about, delta: spoken.call.json }),
            typed("response.function_call_arguments.done", { ...about, arguments: spoken.call.json }),
          ];
    const last = responseObject(spoken, true);
    const events = [
      typed("response.created", { response: responseObject(spoken, false) }),
      typed("response.in_progress", { response: responseObject(spoken, false) }),
      typed("response.output_item.added", { output_index: 0, item: responseItem(spoken, false) }),
      ...pieces,
      typed("response.output_item.done", { output_index: 0, item }),
      typed(`response.${String(last["status"])}`, { response: last }),
    ];
    return events.map(({ data, ...event }, place) => ({
      ...event,
      data: { ...(data as Fields), sequence_number: place },
    }));
  },
  list: openAiList,
  error: openAiError,
};

const ollamaHead = ({ model }: Spoken) => ({ model, created_at: "2026-01-01T00:00:00Z" });
const ollamaEnd = ({ isCut, call, input, output }: Spoken) => ({
  done: true,
  done_reason: isCut && call === null ? "length" : "stop",
  total_duration: 4,
  load_duration: 1,
  prompt_eval_count: input,
  prompt_eval_duration: 1,
  eval_count: output,
  eval_duration: 2,
});
const ollamaMessage = ({ call }: Spoken, content: string): Fields => ({
  role: "assistant",
  content,
  ...(call === null
    ? {}
    : { tool_calls: [{ function: { name: call.name, arguments: JSON.parse(call.json) as unknown } }] }),
});

const ollama: Speech = {
  whole: (spoken) => ({
    ...ollamaHead(spoken),
    message: ollamaMessage(spoken, spoken.words.join("")),
    ...ollamaEnd(spoken),
  }),
  events: (spoken) => [
    ...(spoken.call === null ? spoken.words : [""]).map((word) => ({
      data: { ...ollamaHead(spoken), message: ollamaMessage(spoken, word), done: false },
    })),
    { data: { ...ollamaHead(spoken), message: { role: "assistant", content: "" }, ...ollamaEnd(spoken) } },
  ],
  list: (models) => ({
    models: models.map((name) => ({
      name,
      model: name,
      modified_at: "2026-01-01T00:00:00Z",
      size: 1,
      digest: "0",
      details: {},
    })),
  }),
  error: (_status, _code, message) => ({ error: message }),
};

export const SPEECH: Readonly<Record<ConformDialectName, Speech>> = { openai, anthropic, responses, ollama };
