import type { RuleName } from "../../../src/client/grammar/rules.ts";
import type { ConformDialectName } from "../../../src/client/conform/dialects.ts";
import type { Fault } from "./reference-server.ts";
import type { Spoken, SpokenEvent } from "./spoken-answers.ts";

type Fields = Record<string, unknown>;
type Events = readonly SpokenEvent[];

export interface PlantedFault {
  readonly rule: RuleName;
  readonly dialect: ConformDialectName;
  readonly what: string;
  readonly fault: Fault;
}

const dataOf = (event: SpokenEvent): Fields => event.data as Fields;
const isOf = (event: SpokenEvent, type: string): boolean =>
  typeof event.data === "object" && dataOf(event)["type"] === type;

const without = (type: string) => (events: Events) => events.filter((event) => !isOf(event, type));
const twice = (type: string) => (events: Events) =>
  events.flatMap((event) => (isOf(event, type) ? [event, event] : [event]));
const changed = (type: string, change: (data: Fields) => Fields) => (events: Events) =>
  events.map((event) => (isOf(event, type) ? { ...event, data: change(dataOf(event)) } : event));
const unnamed = (events: Events) => events.map(({ data }) => ({ data }));
const numbered = (events: Events) =>
  events.map(({ data, ...event }, place) => ({
    ...event,
    data: { ...(data as Fields), sequence_number: place },
  }));

/** Chunks of a chat stream that carry choices. */
const chunks = (change: (chunk: Fields, place: number) => Fields) => (events: Events) =>
  events.map((event, place) =>
    typeof event.data === "object" ? { ...event, data: change(dataOf(event), place) } : event,
  );
const cutBefore = (last: number) => (events: Events) => events.slice(0, -last);
const textOfCall = (json: string) => (spoken: Spoken) =>
  spoken.call === null ? spoken : { ...spoken, call: { ...spoken.call, json } };

const planted = (
  ...[rule, dialect, what, fault]: readonly [RuleName, ConformDialectName, string, Fault]
): PlantedFault => ({ rule, dialect, what, fault });

const FAILURE: SpokenEvent = { data: { error: { message: "the worker died" } } };

/** A server that is right but for one thing, for each rule: what clients were seen to stumble over. */
export const PLANTED: readonly PlantedFault[] = [
  planted("answered", "openai", "results of tools are refused", { refusesResults: true }),
  planted("tool-result", "ollama", "results of tools are refused", { refusesResults: true }),
  planted("media-type", "openai", "a stream is called JSON", { streamType: "application/json" }),
  planted("media-type", "ollama", "lines are called events", { streamType: "text/event-stream" }),
  planted("models-listed", "openai", "models have no owner", {
    list: () => ({ object: "list", data: [{ id: "reference/model", object: "model" }] }),
  }),
  planted("models-listed", "anthropic", "the list is OpenAI's", {
    list: () => ({ object: "list", data: [{}] }),
  }),
  planted("model-as-asked", "openai", "the model is named as its file", {
    spoken: (spoken) => ({ ...spoken, model: "model.gguf" }),
  }),
  planted("whole-shape", "openai", "no finish_reason", {
    whole: (answer) => ({ ...answer, choices: [{ index: 0, message: { role: "assistant", content: "x" } }] }),
  }),
  planted("whole-shape", "anthropic", "content is a text", {
    whole: (answer) => ({ ...answer, content: "x" }),
  }),
  planted("usage-told", "responses", "the prompt has no tokens", {
    spoken: (spoken) => ({ ...spoken, input: 0 }),
  }),
  planted("usage-agrees", "openai", "a streamed prompt is longer", {
    events: chunks((chunk) =>
      "usage" in chunk
        ? { ...chunk, usage: { prompt_tokens: 9, completion_tokens: 5, total_tokens: 14 } }
        : chunk,
    ),
  }),
  planted("stop-known", "ollama", "it ends with eos", {
    whole: (answer) => ({ ...answer, done_reason: "eos" }),
  }),
  planted("limit-held", "anthropic", "what was cut says that it is whole", {
    whole: (answer) => ({ ...answer, stop_reason: "end_turn" }),
  }),
  planted("limit-held", "openai", "the limit is not held", {
    spoken: (spoken) => ({ ...spoken, output: spoken.isCut ? 40 : 5 }),
  }),
  planted("stream-readable", "openai", "an event is no JSON", {
    events: (events) => [{ data: "{'a': 1}" }, ...events],
  }),
  planted("stream-readable", "ollama", "a blank line", { events: (events) => [{ data: "" }, ...events] }),
  planted("stream-terminated", "openai", "no [DONE]", { events: cutBefore(1) }),
  planted("stream-terminated", "anthropic", "no message_stop", { events: without("message_stop") }),
  planted("stream-terminated", "responses", "no response.completed", {
    events: (events) => events.filter((event) => event.name !== "response.completed"),
  }),
  planted("stream-terminated", "ollama", "no line is done", { events: cutBefore(1) }),
  planted("stream-said", "openai", "a stream of nothing", {
    spoken: (spoken) => ({ ...spoken, words: [] }),
  }),
  planted("nothing-after-end", "openai", "usage after [DONE]", {
    events: (events) => [...events, ...events.slice(-2, -1)],
  }),
  planted("nothing-after-end", "ollama", "two lines are done", {
    events: (events) => [...events, ...events.slice(-1)],
  }),
  planted("error-then-broken", "openai", "an error, and an end in good order", {
    events: (events) => [...events.slice(0, 2), FAILURE],
  }),
  planted("error-then-broken", "anthropic", "an error, and an end in good order", {
    events: (events) => [
      ...events.slice(0, 4),
      { name: "error", data: { type: "error", error: { type: "api_error", message: "died" } } },
    ],
  }),
  planted("error-then-broken", "responses", "a failure, and an end in good order", {
    events: (events) => [
      ...events.slice(0, 3),
      { name: "response.failed", data: { type: "response.failed", sequence_number: 3 } },
    ],
  }),
  planted("error-then-broken", "ollama", "the connection breaks without a word", {
    events: cutBefore(1),
    breaksStreams: true,
  }),
  planted("alive", "openai", "20 s of silence within an answer", { isSilent: true }),
  planted("alive", "responses", "20 s of silence within an answer", { isSilent: true }),
  planted("tool-called", "anthropic", "a demand is not heard", { ignoresDemand: true }),
  planted("tool-pieces", "openai", "a call begins without a name", {
    events: chunks(
      (chunk) => JSON.parse(JSON.stringify(chunk).replace(/"name":"\w+"/, '"name":""')) as Fields,
    ),
  }),
  planted("tool-arguments", "openai", "arguments are cut", { spoken: textOfCall('{"city":"Lis') }),
  planted("tool-arguments", "responses", "arguments are a list", { spoken: textOfCall("[1]") }),
  planted("tool-ids", "openai", "ids are numbered in each answer", {
    spoken: (spoken) =>
      spoken.call === null ? spoken : { ...spoken, call: { ...spoken.call, id: "call_0" } },
  }),
  planted("tool-names", "anthropic", "a tool that nobody offered", {
    spoken: (spoken) =>
      spoken.call === null ? spoken : { ...spoken, call: { ...spoken.call, name: "functions.get_weather" } },
  }),
  planted("tool-stop", "openai", "a call ends with stop", {
    whole: (answer) => JSON.parse(JSON.stringify(answer).replace('"tool_calls"}', '"stop"}')) as Fields,
  }),
  planted("tool-stop", "anthropic", "a call ends the turn", {
    events: changed("message_delta", (data) => ({ ...data, delta: { stop_reason: "end_turn" } })),
  }),
  planted("error-status", "responses", "a wrong field is a 422", {
    refusal: (refusal) => ({ ...refusal, status: 422 }),
  }),
  planted("error-status", "openai", "a model that is not there is 200", {
    refusal: (refusal) => ({ ...refusal, status: refusal.status === 404 ? 200 : refusal.status }),
  }),
  planted("error-shape", "openai", "an error is a text", {
    refusal: (refusal) => ({ ...refusal, body: { error: "no" } }),
  }),
  planted("error-shape", "anthropic", "an error is OpenAI's", {
    refusal: (refusal) => ({ ...refusal, body: { error: { message: "no", type: "x", code: null } } }),
  }),
  planted("fields-tolerated", "anthropic", "unknown fields are refused", { refusesHints: true }),
  planted("fields-tolerated", "openai", "hints are refused", { refusesHints: true }),
  planted("overflow-words", "openai", "words of its own", {
    refusal: (refusal) => ({
      ...refusal,
      body: { error: { message: "too much text", type: "x", param: null, code: "too_long" } },
    }),
  }),
  planted("overflow-words", "anthropic", "words of its own", {
    refusal: (refusal) => ({
      ...refusal,
      body: { type: "error", error: { type: "invalid_request_error", message: "too much text" } },
    }),
  }),
  planted("cancel-frees", "openai", "places are kept", { keepsPlaces: true }),
  planted("cancel-frees", "ollama", "places are kept", { keepsPlaces: true }),
  planted("chat-unnamed", "openai", "a named event among the others", {
    events: (events) => [{ name: "ping", data: dataOf(events[0] ?? FAILURE) }, ...events],
  }),
  planted("chat-chunk", "openai", "chunks without an object", {
    events: chunks(({ object: _object, ...chunk }) => chunk),
  }),
  planted("chat-id", "openai", "each chunk has another id", {
    events: chunks((chunk, place) => ({ ...chunk, id: `chatcmpl-${place}` })),
  }),
  planted("chat-finish", "openai", "text after the finish", {
    events: (events) => [...events.slice(0, -2), ...events.slice(1, 2), ...events.slice(-2)],
  }),
  planted("chat-finish", "openai", "no finish", {
    events: (events) => [...events.slice(0, -3), ...events.slice(-2)],
  }),
  planted("chat-usage", "openai", "usage in every chunk", {
    events: chunks((chunk) => ({
      ...chunk,
      usage: { prompt_tokens: 7, completion_tokens: 5, total_tokens: 12 },
    })),
  }),
  planted("chat-usage", "openai", "no usage", {
    events: (events) => [...events.slice(0, -2), ...events.slice(-1)],
  }),
  planted("messages-named", "anthropic", "events without names", { events: unnamed }),
  planted("messages-start", "anthropic", "no message_start", { events: without("message_start") }),
  planted("messages-start", "anthropic", "two of them", { events: twice("message_start") }),
  planted("messages-start", "anthropic", "no tokens of the prompt", {
    events: changed("message_start", (data) => ({
      ...data,
      message: { ...(data["message"] as Fields), usage: { input_tokens: 0, output_tokens: 0 } },
    })),
  }),
  planted("messages-blocks", "anthropic", "every block is number 0", {
    events: (events) =>
      events.map((event) =>
        typeof event.data === "object" && "index" in dataOf(event)
          ? { ...event, data: { ...dataOf(event), index: 0 } }
          : event,
      ),
  }),
  planted("messages-blocks", "anthropic", "no content_block_stop", { events: without("content_block_stop") }),
  planted("messages-deltas", "anthropic", "thinking in a block of text", {
    events: changed("content_block_delta", (data) => ({
      ...data,
      delta: { type: "thinking_delta", thinking: "hm" },
    })),
  }),
  planted("messages-signed", "anthropic", "thinking without a signature", {
    events: (events) => events.filter(({ data }) => !JSON.stringify(data).includes('"signature_delta"')),
  }),
  planted("messages-empty-text", "anthropic", "a block of no text before the others", {
    spoken: (spoken) => ({ ...spoken, words: [""] }),
  }),
  planted("messages-stop", "anthropic", "no message_delta", { events: without("message_delta") }),
  planted("messages-stop", "anthropic", "two of them", { events: twice("message_delta") }),
  planted("responses-named", "responses", "events without names", { events: unnamed }),
  planted("responses-sequence", "responses", "numbers from 1", {
    events: (events) =>
      events.map((event, place) => ({ ...event, data: { ...dataOf(event), sequence_number: place + 1 } })),
  }),
  planted("responses-created", "responses", "it begins in progress", {
    events: (events) => numbered(without("response.created")(events)),
  }),
  planted("responses-items", "responses", "an item is never added", {
    events: (events) => numbered(without("response.output_item.added")(events)),
  }),
  planted("responses-items", "responses", "an item is never done", {
    events: (events) => numbered(without("response.output_item.done")(events)),
  }),
  planted("responses-item-whole", "responses", "a done item is empty", {
    events: changed("response.output_item.done", (data) => ({
      ...data,
      item: { ...(data["item"] as Fields), content: [], arguments: "" },
    })),
  }),
  planted("responses-output", "responses", "the last event has no output", {
    events: (events) =>
      events.map((event) =>
        event.name === "response.completed"
          ? {
              ...event,
              data: { ...dataOf(event), response: { ...(dataOf(event)["response"] as Fields), output: [] } },
            }
          : event,
      ),
  }),
  planted("ollama-line", "ollama", "lines without a time", {
    events: (events) =>
      events.map((event) => {
        const { created_at: _time, ...line } = dataOf(event);
        return { data: line };
      }),
  }),
  planted("ollama-done", "ollama", "the last line has no counts", {
    events: (events) => [
      ...events.slice(0, -1),
      ...events.slice(-1).map((event) => {
        const { eval_count: _count, ...line } = dataOf(event);
        return { data: line };
      }),
    ],
  }),
  planted("ollama-calls", "ollama", "arguments are a text", {
    events: (events) =>
      events.map((event) => ({
        data: JSON.parse(
          JSON.stringify(event.data).replace('{"city":"Lisbon"}', '"{\\"city\\":\\"Lisbon\\"}"'),
        ) as unknown,
      })),
  }),
];
