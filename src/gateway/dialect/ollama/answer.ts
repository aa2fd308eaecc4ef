import { z } from "zod";
import { parseJson } from "../../../core/json.ts";
import type { AnswerIdentity, AnswerTranslator, StreamTranslator } from "../contract/dialect.ts";
import { completionSchema, timingsSchema, usageSchema, type ReadUsage } from "../contract/openai-answer.ts";
import { errorLine, line } from "./line.ts";

export interface ToolCall {
  readonly id: string;
  readonly name: string;
  readonly arguments: unknown;
}

/** A piece of an answer, or all of it. */
export interface Said {
  readonly text: string;
  readonly thinking: string;
  readonly calls: readonly ToolCall[];
}

export const NOTHING_SAID: Said = { text: "", thinking: "", calls: [] };

/** The fields that say something, where chat and generate differ. */
export type Shape = (said: Said) => Readonly<Record<string, unknown>>;

export const chatShape: Shape = ({ text, thinking, calls }) => ({
  message: {
    role: "assistant",
    content: text,
    ...(thinking === "" ? {} : { thinking }),
    ...(calls.length === 0
      ? {}
      : {
          tool_calls: calls.map((call, index) => ({
            id: call.id,
            function: { index, name: call.name, arguments: call.arguments },
          })),
        }),
  },
});

export const generateShape: Shape = ({ text, thinking }) => ({
  response: text,
  ...(thinking === "" ? {} : { thinking }),
});

export interface AnswerHead {
  /** What the client asked for. */
  readonly model: string;
  readonly identity: AnswerIdentity;
}

export const headFields = ({ model, identity }: AnswerHead) => ({
  model,
  created_at: new Date(identity.nowSecs * 1000 + Math.floor(identity.elapsedMs())).toISOString(),
});

export interface Ending {
  readonly finishReason: string | null;
  readonly usage: ReadUsage | null;
  readonly timings: z.infer<typeof timingsSchema>;
}

const nanoseconds = (ms: number): number => Math.round(ms * 1e6);

/** What no engine accounts for went by before one began: a load, or a place in a queue. */
export function durations({ elapsedMs }: AnswerIdentity, timings: Ending["timings"]) {
  const totalMs = elapsedMs();
  const { prompt_ms: promptMs = 0, predicted_ms: predictedMs = 0 } = timings ?? {};
  return {
    total_duration: nanoseconds(totalMs),
    load_duration: nanoseconds(Math.max(0, totalMs - promptMs - predictedMs)),
  };
}

/** The end of an answer: why, how many tokens, how long, in nanoseconds. */
export const endFields = ({ identity }: AnswerHead, { finishReason, usage, timings }: Ending) => ({
  done: true,
  done_reason: finishReason === "length" ? "length" : "stop",
  ...durations(identity, timings),
  prompt_eval_count: usage?.prompt_tokens ?? 0,
  prompt_eval_duration: nanoseconds(timings?.prompt_ms ?? 0),
  eval_count: usage?.completion_tokens ?? 0,
  eval_duration: nanoseconds(timings?.predicted_ms ?? 0),
});

/** Arguments that a limit has cut short are no call; others that cannot be read are no answer. */
export function readCalls(
  calls: readonly { readonly id: string; readonly name: string; readonly json: string }[],
  finishReason: string | null | undefined,
): ToolCall[] {
  return calls.flatMap(({ id, name, json }) => {
    const read = json === "" ? {} : parseJson(json);
    if (read !== undefined) return [{ id, name, arguments: read }];
    if (finishReason === "length") return [];
    throw new Error(`the arguments of a call to ${name} are not JSON`);
  });
}

const wholeChatSchema = completionSchema.extend({ timings: timingsSchema });
const wholeTextSchema = z.looseObject({
  choices: z.array(z.looseObject({ text: z.string(), finish_reason: z.string().nullish() })).min(1),
  usage: usageSchema.nullish(),
  timings: timingsSchema,
});

export function wholeChat(answer: unknown, head: AnswerHead, shape: Shape) {
  const { choices, usage = null, timings } = wholeChatSchema.parse(answer);
  const [choice] = choices;
  const { content, reasoning_content: thinking, tool_calls: calls } = choice?.message ?? {};
  const finishReason = choice?.finish_reason ?? null;
  const flat = (calls ?? []).map(({ id, function: called }) => ({
    id,
    name: called.name,
    json: called.arguments,
  }));
  const said = { text: content ?? "", thinking: thinking ?? "", calls: readCalls(flat, finishReason) };
  return { ...headFields(head), ...shape(said), ...endFields(head, { finishReason, usage, timings }) };
}

/** Of `/v1/completions`, which raw prompts go to. */
export function wholeText(answer: unknown, head: AnswerHead) {
  const { choices, usage = null, timings } = wholeTextSchema.parse(answer);
  const [choice] = choices;
  const said = { ...NOTHING_SAID, text: choice?.text ?? "" };
  const ending = { finishReason: choice?.finish_reason ?? null, usage, timings };
  return { ...headFields(head), ...generateShape(said), ...endFields(head, ending) };
}

/** A request without a question asks for the model to be loaded, or to go: what it said is nobody's. */
export function loadAnswer(head: AnswerHead, shape: Shape, doneReason: "load" | "unload"): AnswerTranslator {
  const loaded = () => ({
    ...headFields(head),
    ...shape(NOTHING_SAID),
    ...durations(head.identity, null),
    done: true,
    done_reason: doneReason,
  });
  const waiting = () => line({ ...headFields(head), ...shape(NOTHING_SAID), done: false });
  const stream: StreamTranslator = {
    keepAlive: waiting,
    chunk: () => "",
    done: () => line(loaded()),
    error: errorLine,
  };
  return { whole: loaded, stream: () => stream };
}
