import { z } from "zod";
import { readEvent } from "./read-event.ts";
import {
  breach,
  NOTHING_TOLD,
  type GrammarState,
  type StreamGrammar,
  type ToldCall,
} from "./stream-grammar.ts";

export const ollamaCallSchema = z.looseObject({
  id: z.string().optional(),
  function: z.looseObject({ name: z.string(), arguments: z.unknown() }),
});

const lineSchema = z.looseObject({
  model: z.string(),
  created_at: z.string().refine((time) => !Number.isNaN(Date.parse(time)), "is no time"),
  message: z.looseObject({
    role: z.literal("assistant"),
    content: z.string(),
    thinking: z.string().nullish(),
    tool_calls: z.array(ollamaCallSchema).nullish(),
  }),
  done: z.boolean(),
});

const nanoseconds = z.int().nonnegative();

export const ollamaEndSchema = z.looseObject({
  done_reason: z.string(),
  total_duration: nanoseconds,
  load_duration: nanoseconds,
  prompt_eval_count: z.int().nonnegative(),
  eval_count: z.int().nonnegative(),
  eval_duration: nanoseconds,
});

const errorSchema = z.looseObject({ error: z.string() });

/** Ollama's own servers give calls no id: its place stands for it. */
export const ollamaCall = (
  { id, function: called }: z.infer<typeof ollamaCallSchema>,
  place: number,
): ToldCall => ({
  id: id ?? `unnamed-${place}`,
  name: called.name,
  json: JSON.stringify(called.arguments ?? null),
});

/** Ollama's chat stream: a line of JSON for each piece, the last of which is `done`. */
export const ollamaGrammar: StreamGrammar = {
  start: { phase: "open", told: NOTHING_TOLD },
  step(state, event) {
    if (errorSchema.safeParse(event.payload).success) {
      return { state: { ...state, phase: "failed" }, breaches: [] };
    }
    const { value, breaches } = readEvent(event, lineSchema, "ollama-line");
    if (value === undefined) return { state, breaches };
    const { told } = state;
    const { message, model, done } = value;
    const calls = (message.tool_calls ?? []).map((call, at) => ollamaCall(call, told.calls.length + at));
    const texts = (message.tool_calls ?? []).filter((call) => typeof call.function.arguments === "string");
    const said: GrammarState = {
      phase: done ? "ended" : "open",
      told: {
        ...told,
        model,
        text: told.text + message.content,
        thinking: told.thinking + (message.thinking ?? ""),
        calls: [...told.calls, ...calls],
      },
    };
    const asText = texts.map((call) =>
      breach("ollama-calls", `the arguments of ${call.function.name} are a text, not an object`),
    );
    if (!done) return { state: said, breaches: asText };
    const end = readEvent(event, ollamaEndSchema, "ollama-done");
    if (end.value === undefined) return { state: said, breaches: [...asText, ...end.breaches] };
    const usage = { input: end.value.prompt_eval_count, output: end.value.eval_count };
    return {
      state: { ...said, told: { ...said.told, stop: end.value.done_reason, usage } },
      breaches: asText,
    };
  },
  missing: () => [],
};
