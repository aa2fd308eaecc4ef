import { isRecord } from "../core/json.ts";

/** An answer on its way, as the playground shows it. */
export interface ChatAnswer {
  readonly text: string;
  readonly reasoning: string;
  /** What the gateway says while the request waits: "loading m on n (loading 40 %)". Empty once the answer has begun. */
  readonly waitingFor: string;
  readonly sentAtMs: number;
  readonly firstTokenAtMs: number | null;
  readonly endedAtMs: number | null;
  /** By the last chunk; null before it. */
  readonly usage: { readonly promptTokens: number; readonly completionTokens: number } | null;
  readonly finishReason: string | null;
  readonly problem: string | null;
}

export const beginAnswer = (sentAtMs: number): ChatAnswer => ({
  text: "",
  reasoning: "",
  waitingFor: "",
  sentAtMs,
  firstTokenAtMs: null,
  endedAtMs: null,
  usage: null,
  finishReason: null,
  problem: null,
});

/** A comment of the stream. */
export const noteComment = (answer: ChatAnswer, comment: string): ChatAnswer =>
  answer.firstTokenAtMs === null ? { ...answer, waitingFor: comment.trim() } : answer;

/** A chunk of the stream, or the error that ends it. */
export function noteChunk(answer: ChatAnswer, chunk: unknown, atMs: number): ChatAnswer {
  if (!isRecord(chunk)) return answer;
  if (isRecord(chunk["error"])) return { ...answer, problem: problemText(chunk), waitingFor: "" };
  const choice = firstOf(chunk["choices"]);
  const delta = isRecord(choice) && isRecord(choice["delta"]) ? choice["delta"] : {};
  const [text, reasoning] = [wordOf(delta["content"]), wordOf(delta["reasoning_content"])];
  const hasBegun = text !== "" || reasoning !== "";
  const finish = isRecord(choice) ? wordOf(choice["finish_reason"]) : "";
  return {
    ...answer,
    text: answer.text + text,
    reasoning: answer.reasoning + reasoning,
    waitingFor: hasBegun ? "" : answer.waitingFor,
    firstTokenAtMs: answer.firstTokenAtMs ?? (hasBegun ? atMs : null),
    usage: usageOf(chunk["usage"]) ?? answer.usage,
    finishReason: finish === "" ? answer.finishReason : finish,
  };
}

/** A stream without its end is never shown as a whole answer. */
export function endAnswer(answer: ChatAnswer, atMs: number, problem: string | null = null): ChatAnswer {
  const isCut = problem === null && answer.problem === null && answer.finishReason === null;
  return {
    ...answer,
    waitingFor: "",
    endedAtMs: atMs,
    problem:
      answer.problem ?? problem ?? (isCut ? "the answer broke off: what stands here is not all of it" : null),
  };
}

export interface AnswerTimings {
  readonly firstTokenMs: number;
  readonly tokensPerSec: number | null;
}

/** Null before the first token. The rate counts from the first token on, and needs two of them. */
export function timingsOf(answer: ChatAnswer): AnswerTimings | null {
  const { firstTokenAtMs, sentAtMs, endedAtMs, usage } = answer;
  if (firstTokenAtMs === null) return null;
  const seconds = endedAtMs === null ? 0 : (endedAtMs - firstTokenAtMs) / 1000;
  const counted = (usage?.completionTokens ?? 0) - 1;
  return {
    firstTokenMs: firstTokenAtMs - sentAtMs,
    tokensPerSec: seconds > 0 && counted > 0 ? counted / seconds : null,
  };
}

/** The message of an error body, with what to do next where it says so. */
export function problemText(body: unknown): string {
  const error = isRecord(body) && isRecord(body["error"]) ? body["error"] : {};
  const message = wordOf(error["message"]);
  const next = wordOf(error["next"]);
  if (message === "") return "the gateway answered with an error that says nothing";
  return next === "" ? message : `${message} (next: ${next})`;
}

const firstOf = (value: unknown): unknown =>
  Array.isArray(value) ? (value as readonly unknown[])[0] : undefined;

const wordOf = (value: unknown): string => (typeof value === "string" ? value : "");

function usageOf(value: unknown): ChatAnswer["usage"] {
  if (!isRecord(value)) return null;
  const [prompt, completion] = [value["prompt_tokens"], value["completion_tokens"]];
  if (typeof prompt !== "number" || typeof completion !== "number") return null;
  return { promptTokens: prompt, completionTokens: completion };
}
