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

export const responsesUsageSchema = z.looseObject({
  input_tokens: z.int().nonnegative(),
  output_tokens: z.int().nonnegative(),
  total_tokens: z.int().nonnegative(),
});

export const responsesItemSchema = z.looseObject({
  type: z.string(),
  id: z.string().optional(),
  role: z.string().optional(),
  content: z.array(z.looseObject({ type: z.string(), text: z.string().optional() })).nullish(),
  summary: z.array(z.looseObject({ text: z.string() })).nullish(),
  call_id: z.string().optional(),
  name: z.string().optional(),
  arguments: z.string().optional(),
  input: z.string().optional(),
});
export type ResponsesItem = z.infer<typeof responsesItemSchema>;

const typedSchema = z.looseObject({ type: z.string(), sequence_number: z.number().optional() });
const createdSchema = z.looseObject({
  response: z.looseObject({ id: z.string().min(1), object: z.literal("response"), model: z.string() }),
});
const itemEventSchema = z.looseObject({ output_index: z.int().nonnegative(), item: responsesItemSchema });
const partEventSchema = z.looseObject({
  output_index: z.int().nonnegative(),
  item_id: z.string(),
  delta: z.string().optional(),
});
const lastSchema = z.looseObject({
  response: z.looseObject({
    status: z.string(),
    output: z.array(responsesItemSchema),
    incomplete_details: z.looseObject({ reason: z.string() }).nullish(),
    // That it is told is a rule of its own.
    usage: responsesUsageSchema.nullish(),
  }),
});

interface OpenItem {
  readonly index: number;
  readonly id: string;
  readonly type: string;
  /** Its deltas, put together. */
  readonly said: string;
}

export interface ResponsesState extends GrammarState {
  readonly events: number;
  readonly created: boolean;
  readonly open: OpenItem | null;
  readonly done: readonly ResponsesItem[];
}

type Step = GrammarStep<ResponsesState>;

/** Of an item as it is done: what its deltas have said before. */
export const saidBy = (item: ResponsesItem): string => {
  if (item.type === "function_call") return item.arguments ?? "";
  if (item.type === "custom_tool_call") return item.input ?? "";
  if (item.type === "reasoning") return (item.summary ?? []).map(({ text }) => text).join("");
  return (item.content ?? []).map(({ text }) => text ?? "").join("");
};

/** The answer that the items of a response make. */
export const toldByItems = (
  items: readonly ResponsesItem[],
): Pick<ToldAnswer, "text" | "thinking" | "calls"> => ({
  text: items.flatMap((item) => (item.type === "message" ? [saidBy(item)] : [])).join(""),
  thinking: items.flatMap((item) => (item.type === "reasoning" ? [saidBy(item)] : [])).join(""),
  calls: items.flatMap((item) =>
    item.type === "function_call"
      ? [{ id: item.call_id ?? "", name: item.name ?? "", json: item.arguments ?? "" }]
      : [],
  ),
});

/** Why a response ended: the reason where it is incomplete, else its status. */
export const stopOfResponse = (response: {
  readonly status: string;
  readonly incomplete_details?: { readonly reason: string } | null | undefined;
}): string => response.incomplete_details?.reason ?? response.status;

/** OpenAI's Responses stream: `response.created`, items, and one of `completed`, `incomplete` or `failed`. */
export const responsesGrammar: StreamGrammar<ResponsesState> = {
  start: { phase: "open", told: NOTHING_TOLD, events: 0, created: false, open: null, done: [] },
  step(state, event) {
    const read = readEvent(event, typedSchema, "stream-readable");
    if (read.value === undefined) return { state, breaches: read.breaches };
    const { type, sequence_number: place } = read.value;
    const found: Breach[] = [];
    if (event.name !== type) {
      found.push(breach("responses-named", `an event of type ${type} is named ${event.name ?? "nothing"}`));
    }
    if (place !== state.events) {
      found.push(
        breach("responses-sequence", `${type} is number ${String(place)} and ought to be ${state.events}`),
      );
    }
    if ((type === "response.created") === state.created && type !== "error") {
      found.push(
        breach(
          "responses-created",
          state.created ? "response.created comes twice" : `${type} comes before response.created`,
        ),
      );
    }
    const next = stepTyped({ ...state, events: state.events + 1 }, type, event);
    return { state: next.state, breaches: [...found, ...next.breaches] };
  },
  missing: ({ open }) =>
    open === null ? [] : [breach("responses-items", `item ${open.index} (${open.type}) is not done`)],
  // SDKs raise at `error`, agents at `response.failed`: a server that serves both sends both.
  mayFollowError: ({ payload }) => typedSchema.safeParse(payload).data?.type === "response.failed",
};

function stepTyped(state: ResponsesState, type: string, event: StreamEvent): Step {
  switch (type) {
    case "response.created":
      return begin(state, event);
    case "response.output_item.added":
      return addItem(state, event);
    case "response.output_item.done":
      return endItem(state, event);
    case "response.completed":
    case "response.incomplete":
      return end(state, event);
    case "response.failed":
    case "error":
      return { state: { ...state, phase: "failed" }, breaches: [] };
    default:
      return ABOUT_AN_ITEM.test(type) ? growItem(state, type, event) : { state, breaches: [] };
  }
}

const ABOUT_AN_ITEM =
  /^response\.(?:content_part|output_text|refusal|reasoning\w*|function_call_arguments|custom_tool_call_input)\./;

function begin(state: ResponsesState, event: StreamEvent): Step {
  const { value, breaches } = readEvent(event, createdSchema, "responses-created");
  const created = { ...state, created: true };
  if (value === undefined) return { state: created, breaches };
  return { state: { ...created, told: { ...state.told, model: value.response.model } }, breaches: [] };
}

function addItem(state: ResponsesState, event: StreamEvent): Step {
  const { value, breaches } = readEvent(event, itemEventSchema, "responses-items");
  if (value === undefined) return { state, breaches };
  const { output_index: index, item } = value;
  const found: Breach[] = [];
  if (state.open !== null) {
    found.push(breach("responses-items", `item ${index} is added while item ${state.open.index} is open`));
  }
  if (index !== state.done.length) {
    found.push(breach("responses-items", `item ${index} follows ${state.done.length} others`));
  }
  if ((item.id ?? "") === "") found.push(breach("responses-items", `item ${index} has no id`));
  return {
    state: { ...state, open: { index, id: item.id ?? "", type: item.type, said: "" } },
    breaches: found,
  };
}

function growItem(state: ResponsesState, type: string, event: StreamEvent): Step {
  const { value, breaches } = readEvent(event, partEventSchema, "responses-items");
  if (value === undefined) return { state, breaches };
  const { open } = state;
  if (open?.index !== value.output_index || open.id !== value.item_id) {
    const which = `item ${value.output_index} (${value.item_id})`;
    return { state, breaches: [breach("responses-items", `${type} is about ${which}, which is not open`)] };
  }
  const piece = type.endsWith(".delta") ? (value.delta ?? "") : "";
  return { state: { ...state, open: { ...open, said: open.said + piece } }, breaches: [] };
}

function endItem(state: ResponsesState, event: StreamEvent): Step {
  const { value, breaches } = readEvent(event, itemEventSchema, "responses-items");
  if (value === undefined) return { state, breaches };
  const { open } = state;
  const { item, output_index: index } = value;
  const found: Breach[] = [];
  if (open?.index !== index || open.id !== item.id) {
    found.push(breach("responses-items", `item ${index} is done, which is not open`));
  } else if (open.said !== "" && saidBy(item) !== open.said) {
    const [done, deltas] = [saidBy(item), open.said].map((text) => JSON.stringify(text.slice(0, 60)));
    found.push(
      breach("responses-item-whole", `item ${index} is done with ${done}, its deltas said ${deltas}`),
    );
  }
  const lacks = lackOf(item);
  if (lacks !== null)
    found.push(breach("responses-item-whole", `item ${index} (${item.type}) is done without ${lacks}`));
  const done = [...state.done, item];
  return {
    state: { ...state, open: null, done, told: { ...state.told, ...toldByItems(done) } },
    breaches: found,
  };
}

/** What agents need of a done item and is not there. */
function lackOf(item: ResponsesItem): string | null {
  if (item.type === "message") {
    if (item.role !== "assistant") return "`role`";
    return (item.content ?? []).length === 0 ? "`content`" : null;
  }
  if (item.type !== "function_call") return null;
  if (item.call_id === undefined) return "`call_id`";
  if (item.name === undefined) return "`name`";
  return item.arguments === undefined ? "`arguments`" : null;
}

function end(state: ResponsesState, event: StreamEvent): Step {
  const { value, breaches } = readEvent(event, lastSchema, "responses-output");
  if (value === undefined) return { state: { ...state, phase: "ended" }, breaches };
  const { output, usage } = value.response;
  const ids = output.map(({ id }) => id).join(", ");
  const done = state.done.map(({ id }) => id).join(", ");
  const found =
    ids === done ? [] : [breach("responses-output", `the output is [${ids}], done were [${done}]`)];
  const told = {
    ...state.told,
    ...toldByItems(output),
    stop: stopOfResponse(value.response),
    usage: usage == null ? null : { input: usage.input_tokens, output: usage.output_tokens },
  };
  return { state: { ...state, phase: "ended", told }, breaches: found };
}
