import { z } from "zod";
import { readEvent } from "./read-event.ts";
import type { Breach } from "./rules.ts";
import {
  breach,
  NOTHING_TOLD,
  type GrammarState,
  type GrammarStep,
  type StreamEvent,
  type StreamGrammar,
  type ToldAnswer,
} from "./stream-grammar.ts";

export const messagesUsageSchema = z.looseObject({
  input_tokens: z.int().nonnegative(),
  output_tokens: z.int().nonnegative(),
  cache_read_input_tokens: z.int().nonnegative().nullish(),
  cache_creation_input_tokens: z.int().nonnegative().nullish(),
});

/** Cached tokens are told apart; together they are the prompt. */
export const promptTokens = (usage: z.infer<typeof messagesUsageSchema>): number =>
  usage.input_tokens + (usage.cache_read_input_tokens ?? 0) + (usage.cache_creation_input_tokens ?? 0);

const typedSchema = z.looseObject({ type: z.string() });

const startSchema = z.looseObject({
  message: z.looseObject({
    id: z.string().min(1),
    type: z.literal("message"),
    role: z.literal("assistant"),
    model: z.string(),
    content: z.array(z.unknown()).length(0),
    stop_reason: z.null(),
    usage: messagesUsageSchema,
  }),
});
const blockStartSchema = z.looseObject({
  index: z.int().nonnegative(),
  content_block: z.looseObject({
    type: z.string(),
    id: z.string().optional(),
    name: z.string().optional(),
    text: z.string().optional(),
    thinking: z.string().optional(),
  }),
});
const deltaSchema = z.looseObject({
  index: z.int().nonnegative(),
  delta: z.looseObject({
    type: z.string(),
    text: z.string().optional(),
    thinking: z.string().optional(),
    partial_json: z.string().optional(),
    signature: z.string().optional(),
  }),
});
const blockStopSchema = z.looseObject({ index: z.int().nonnegative() });
const stopSchema = z.looseObject({
  delta: z.looseObject({ stop_reason: z.string() }),
  usage: z.looseObject({ output_tokens: z.int().nonnegative() }),
});

interface OpenBlock {
  readonly kind: string;
  readonly index: number;
  /** All that its deltas said. */
  readonly said: string;
  readonly signed: boolean;
}

export interface MessagesState extends GrammarState {
  readonly started: boolean;
  readonly blocks: number;
  readonly open: OpenBlock | null;
}

type Step = GrammarStep<MessagesState>;

/** Anthropic's stream: `message_start`, blocks, `message_delta`, `message_stop`; `ping` anywhere. */
export const messagesGrammar: StreamGrammar<MessagesState> = {
  start: { phase: "open", told: NOTHING_TOLD, started: false, blocks: 0, open: null },
  step(state, event) {
    const read = readEvent(event, typedSchema, "stream-readable");
    if (read.value === undefined) return { state, breaches: read.breaches };
    const { type } = read.value;
    const misnamed =
      event.name === type
        ? []
        : [breach("messages-named", `an event of type ${type} is named ${event.name ?? "nothing"}`)];
    const next = stepTyped(state, type, event);
    return { state: next.state, breaches: [...misnamed, ...next.breaches] };
  },
  missing({ told, open }) {
    return [
      ...(told.stop === null
        ? [breach("messages-stop", "no message_delta with a stop_reason has come")]
        : []),
      ...(open === null ? [] : [breach("messages-blocks", `block ${open.index} is not closed`)]),
    ];
  },
};

function stepTyped(state: MessagesState, type: string, event: StreamEvent): Step {
  if (type === "ping") return { state, breaches: [] };
  if (type === "error") return { state: { ...state, phase: "failed" }, breaches: [] };
  const early =
    state.started || type === "message_start"
      ? []
      : [breach("messages-start", `${type} comes before message_start`)];
  const handle = STEPS[type];
  // Clients are told to pass over events that they do not know.
  const next = handle === undefined ? { state, breaches: [] } : handle(state, event);
  return { state: next.state, breaches: [...early, ...next.breaches] };
}

const tell = (state: MessagesState, told: Partial<ToldAnswer>): MessagesState => ({
  ...state,
  told: { ...state.told, ...told },
});

const STEPS: Readonly<Record<string, (state: MessagesState, event: StreamEvent) => Step>> = {
  message_start(state, event) {
    const again = state.started ? [breach("messages-start", "message_start comes twice")] : [];
    const { value, breaches } = readEvent(event, startSchema, "messages-start");
    const started = { ...state, started: true };
    if (value === undefined) return { state: started, breaches: [...again, ...breaches] };
    const { model, usage } = value.message;
    const input = promptTokens(usage);
    const empty = input === 0 ? [breach("messages-start", "the prompt is said to have 0 tokens")] : [];
    return { state: tell(started, { model, usage: { input, output: 0 } }), breaches: [...again, ...empty] };
  },
  content_block_start: beginBlock,
  content_block_delta: growBlock,
  content_block_stop: endBlock,
  message_delta(state, event) {
    const { value, breaches } = readEvent(event, stopSchema, "messages-stop");
    if (value === undefined) return { state, breaches };
    const found: Breach[] = [];
    if (state.told.stop !== null) found.push(breach("messages-stop", "message_delta comes twice"));
    if (state.open !== null) {
      found.push(breach("messages-stop", `message_delta comes while block ${state.open.index} is open`));
    }
    const usage = { input: state.told.usage?.input ?? 0, output: value.usage.output_tokens };
    return { state: tell(state, { stop: value.delta.stop_reason, usage }), breaches: found };
  },
  message_stop: (state) => ({ state: { ...state, phase: "ended" }, breaches: [] }),
};

function beginBlock(state: MessagesState, event: StreamEvent): Step {
  const { value, breaches } = readEvent(event, blockStartSchema, "messages-blocks");
  if (value === undefined) return { state, breaches };
  const { index, content_block: block } = value;
  const found: Breach[] = [];
  if (index !== state.blocks)
    found.push(breach("messages-blocks", `block ${index} follows ${state.blocks} others`));
  if (state.open !== null) {
    found.push(breach("messages-blocks", `block ${index} begins while block ${state.open.index} is open`));
  }
  const said = block.text ?? block.thinking ?? "";
  const calls =
    block.type === "tool_use"
      ? [...state.told.calls, { id: block.id ?? "", name: block.name ?? "", json: "" }]
      : state.told.calls;
  const told = {
    calls,
    text: state.told.text + (block.text ?? ""),
    thinking: state.told.thinking + (block.thinking ?? ""),
  };
  const open = { kind: block.type, index, said, signed: false };
  return { state: { ...tell(state, told), blocks: state.blocks + 1, open }, breaches: found };
}

/** Which deltas a block may have; blocks of other kinds are not judged. */
const DELTAS: Readonly<Record<string, readonly string[]>> = {
  text: ["text_delta", "citations_delta"],
  thinking: ["thinking_delta", "signature_delta"],
  tool_use: ["input_json_delta"],
};

function growBlock(state: MessagesState, event: StreamEvent): Step {
  const { value, breaches } = readEvent(event, deltaSchema, "messages-deltas");
  if (value === undefined) return { state, breaches };
  const { index, delta } = value;
  const { open } = state;
  if (open?.index !== index) {
    return {
      state,
      breaches: [breach("messages-blocks", `a delta is for block ${index}, which is not open`)],
    };
  }
  if (DELTAS[open.kind]?.includes(delta.type) === false) {
    return { state, breaches: [breach("messages-deltas", `a ${delta.type} is in a block of ${open.kind}`)] };
  }
  return { state: grown(state, open, delta), breaches: [] };
}

function grown(
  state: MessagesState,
  open: OpenBlock,
  delta: z.infer<typeof deltaSchema>["delta"],
): MessagesState {
  const { text = "", thinking = "", partial_json: json = "", signature = "" } = delta;
  const { told } = state;
  const last = told.calls.length - 1;
  return {
    ...tell(state, {
      text: told.text + text,
      thinking: told.thinking + thinking,
      calls: told.calls.map((call, at) => (at === last ? { ...call, json: call.json + json } : call)),
    }),
    open: { ...open, said: open.said + text + thinking + json, signed: open.signed || signature !== "" },
  };
}

function endBlock(state: MessagesState, event: StreamEvent): Step {
  const { value, breaches } = readEvent(event, blockStopSchema, "messages-blocks");
  if (value === undefined) return { state, breaches };
  const { open } = state;
  if (open?.index !== value.index) {
    return {
      state,
      breaches: [breach("messages-blocks", `block ${value.index} is closed, which is not open`)],
    };
  }
  const found: Breach[] = [];
  if (open.kind === "text" && open.said === "") {
    found.push(breach("messages-empty-text", `block ${open.index} is of empty text`));
  }
  if (open.kind === "thinking" && !open.signed) {
    found.push(breach("messages-signed", `block ${open.index} has no signature`));
  }
  return { state: { ...withEmptyInput(state), open: null }, breaches: found };
}

/** SDKs read a call without arguments as one with an empty object. */
const withEmptyInput = (state: MessagesState): MessagesState =>
  tell(state, { calls: state.told.calls.map((call) => (call.json === "" ? { ...call, json: "{}" } : call)) });
