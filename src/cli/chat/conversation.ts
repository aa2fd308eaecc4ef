import { latencyText, rateText } from "../print/short-words.ts";

export interface SaidMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** What was said so far, and to whom. */
export interface Conversation {
  readonly model: string;
  readonly system: string | null;
  readonly said: readonly SaidMessage[];
}

/** As it is sent: the system prompt first. */
export const messagesOf = ({ system, said }: Conversation): readonly SaidMessage[] =>
  system === null ? said : [{ role: "system", content: system }, ...said];

export const withQuestion = (conversation: Conversation, content: string): Conversation => ({
  ...conversation,
  said: [...conversation.said, { role: "user", content }],
});

/** An answer that was stopped counts as far as it came; of one that never began nothing is left, nor of its question. */
export const withAnswer = (conversation: Conversation, content: string): Conversation =>
  content === ""
    ? { ...conversation, said: conversation.said.slice(0, -1) }
    : { ...conversation, said: [...conversation.said, { role: "assistant", content }] };

/** Back to the last question, without it; null where none was asked. */
export function beforeLastQuestion(
  conversation: Conversation,
): { readonly conversation: Conversation; readonly question: string } | null {
  const at = conversation.said.findLastIndex(({ role }) => role === "user");
  const question = conversation.said[at];
  return question === undefined
    ? null
    : { conversation: { ...conversation, said: conversation.said.slice(0, at) }, question: question.content };
}

/** An answer with what it took; `--json` prints it. */
export interface ChatResult {
  readonly model: string;
  readonly answer: string;
  readonly reasoning: string;
  /** `stop`, `length`, ...; `cancelled` where it was stopped; null where the answer did not say. */
  readonly finish_reason: string | null;
  /** As the neuron counted them; null for an answer that was stopped. */
  readonly prompt_tokens: number | null;
  readonly completion_tokens: number | null;
  readonly cached_tokens: number | null;
  /** Until the first token; null where none came. */
  readonly first_token_ms: number | null;
  readonly duration_ms: number;
  readonly tokens_per_sec: number | null;
}

/** "56 tokens (142 in, 128 cached), first after 85 ms, 42.5 tok/s, 1.40 s". */
export function resultText(result: ChatResult): string {
  const { completion_tokens: out, prompt_tokens: into, cached_tokens: cached } = result;
  const from = into === null ? "" : ` (${into} in${cached ? `, ${cached} cached` : ""})`;
  const parts = [
    ...(result.finish_reason === "cancelled" ? ["stopped"] : []),
    ...(result.finish_reason === "length" ? ["cut at its length"] : []),
    ...(out === null ? [] : [`${out} tokens${from}`]),
    ...(result.first_token_ms === null ? [] : [`first after ${latencyText(result.first_token_ms)}`]),
    ...(result.tokens_per_sec === null ? [] : [`${rateText(result.tokens_per_sec)} tok/s`]),
    latencyText(result.duration_ms),
  ];
  return parts.join(", ");
}
