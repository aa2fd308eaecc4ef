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
  type ToldCall,
} from "./stream-grammar.ts";

const callPieceSchema = z.looseObject({
  index: z.int().nonnegative(),
  id: z.string().nullish(),
  function: z.looseObject({ name: z.string().nullish(), arguments: z.string().nullish() }).nullish(),
});
type CallPiece = z.infer<typeof callPieceSchema>;

export const chatUsageSchema = z.looseObject({
  prompt_tokens: z.int().nonnegative(),
  completion_tokens: z.int().nonnegative(),
  total_tokens: z.int().nonnegative(),
});

const deltaSchema = z.looseObject({
  role: z.literal("assistant").nullish(),
  content: z.string().nullish(),
  reasoning_content: z.string().nullish(),
  tool_calls: z.array(callPieceSchema).nullish(),
});

const chunkSchema = z.looseObject({
  id: z.string(),
  object: z.literal("chat.completion.chunk"),
  created: z.int(),
  model: z.string(),
  choices: z.array(
    z.looseObject({ index: z.int().nonnegative(), delta: deltaSchema, finish_reason: z.string().nullish() }),
  ),
  usage: chatUsageSchema.nullish(),
});
type Chunk = z.infer<typeof chunkSchema>;
type Choice = Chunk["choices"][number];

const errorSchema = z.looseObject({ error: z.looseObject({ message: z.string() }) });

export interface ChatState extends GrammarState {
  readonly id: string | null;
  /** The index of the call that grows. */
  readonly call: number;
}

/** OpenAI's chat stream: `[DONE]` is its end, and the only event that is no JSON. `stream_options.include_usage` was asked. */
export const chatGrammar: StreamGrammar<ChatState> = {
  start: { phase: "open", told: NOTHING_TOLD, id: null, call: -1 },
  step(state, event) {
    const named = event.name === undefined ? [] : [breach("chat-unnamed", `an event is named ${event.name}`)];
    if (event.text === "[DONE]") return { state: { ...state, phase: "ended" }, breaches: named };
    const failure = errorSchema.safeParse(event.payload);
    if (failure.success) return { state: { ...state, phase: "failed" }, breaches: named };
    const read = readEvent(event, chunkSchema, "chat-chunk");
    if (read.value === undefined) return { state, breaches: [...named, ...read.breaches] };
    const next = stepChunk(state, read.value, event);
    return { state: next.state, breaches: [...named, ...next.breaches] };
  },
  missing({ told }) {
    return [
      ...(told.stop === null ? [breach("chat-finish", "no finish_reason has come")] : []),
      ...(told.usage === null ? [breach("chat-usage", "no usage has come, though it was asked for")] : []),
    ];
  },
};

const saysSomething = ({ delta, finish_reason: finish }: Choice): boolean =>
  finish != null ||
  (delta.content ?? "") !== "" ||
  (delta.reasoning_content ?? "") !== "" ||
  (delta.tool_calls ?? []).length > 0;

function stepChunk(state: ChatState, chunk: Chunk, event: StreamEvent): GrammarStep<ChatState> {
  const usage = stepUsage(state, chunk);
  const [choice] = chunk.choices;
  if (choice === undefined || !saysSomething(choice)) return usage;
  const breaches: Breach[] = [...usage.breaches];
  const { told } = usage.state;
  if (state.id !== null && state.id !== chunk.id) {
    breaches.push(breach("chat-id", `the id was ${state.id} and is ${chunk.id}`));
  }
  if (told.stop !== null) {
    breaches.push(
      breach("chat-finish", `goes on after finish_reason ${told.stop}: ${event.text.slice(0, 120)}`),
    );
  }
  let next: ChatState = {
    ...usage.state,
    id: state.id ?? chunk.id,
    told: {
      ...told,
      model: chunk.model,
      text: told.text + (choice.delta.content ?? ""),
      thinking: told.thinking + (choice.delta.reasoning_content ?? ""),
      stop: choice.finish_reason ?? told.stop,
    },
  };
  for (const piece of choice.delta.tool_calls ?? []) {
    const step = stepCall(next, piece);
    next = step.state;
    breaches.push(...step.breaches);
  }
  return { state: next, breaches };
}

function stepUsage(state: ChatState, { usage, choices }: Chunk): GrammarStep<ChatState> {
  if (usage == null) return { state, breaches: [] };
  const breaches: Breach[] = [];
  if (state.told.usage !== null) breaches.push(breach("chat-usage", "usage has come before"));
  if (choices.length > 0) breaches.push(breach("chat-usage", "usage stands in a chunk with choices"));
  if (usage.total_tokens !== usage.prompt_tokens + usage.completion_tokens) {
    breaches.push(breach("chat-usage", "total_tokens is not the sum of the others"));
  }
  const told = { input: usage.prompt_tokens, output: usage.completion_tokens };
  return { state: { ...state, told: { ...state.told, usage: told } }, breaches };
}

function stepCall(state: ChatState, { index, id, function: called }: CallPiece): GrammarStep<ChatState> {
  const { calls } = state.told;
  const known = calls[index];
  if (known === undefined) {
    const call: ToldCall = { id: id ?? "", name: called?.name ?? "", json: called?.arguments ?? "" };
    const breaches = [
      ...(index === calls.length
        ? []
        : [breach("tool-pieces", `call ${index} comes after ${calls.length} others`)]),
      ...(call.name === "" ? [breach("tool-pieces", `call ${index} begins without a name`)] : []),
    ];
    return { state: { ...state, call: index, told: { ...state.told, calls: [...calls, call] } }, breaches };
  }
  const breaches =
    index === state.call
      ? []
      : [breach("tool-pieces", `call ${index} goes on after call ${state.call} began`)];
  // Some servers repeat id and name in each piece: clients take the first.
  const grown = { ...known, json: known.json + (called?.arguments ?? "") };
  return {
    state: {
      ...state,
      told: { ...state.told, calls: calls.map((call, at) => (at === index ? grown : call)) },
    },
    breaches,
  };
}
