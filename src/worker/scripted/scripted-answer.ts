import { isRecord } from "../../core/json.ts";
import type { ModelScript, ScriptedAnswer } from "../../protocol/worker-messages.ts";

const ECHO_LENGTH = 200;

/** Which answer of a script is given, and how often each was. */
export class ScriptedAnswers {
  readonly #script: ModelScript;
  readonly #given: number[];
  #requests = 0;

  constructor(script: ModelScript) {
    this.#script = script;
    this.#given = script.answers.map(() => 0);
  }

  /** The answer to the next request; without one that fits the model repeats what it was told. */
  next(request: unknown): { readonly answer: ScriptedAnswer; readonly isFaulty: boolean } {
    this.#requests += 1;
    const told = lastText(request);
    const at = this.#script.answers.findIndex(
      ({ when, times }, index) =>
        (when === undefined || told.includes(when)) && (this.#given[index] ?? 0) < (times ?? Infinity),
    );
    const answer = this.#script.answers[at];
    if (answer !== undefined) this.#given[at] = (this.#given[at] ?? 0) + 1;
    return {
      answer: answer ?? { reasoning: "", text: told.slice(0, ECHO_LENGTH), tool_calls: [] },
      isFaulty: this.#requests >= this.#script.from_request,
    };
  }
}

/** Of the last message, or of the prompt. */
function lastText(request: unknown): string {
  if (!isRecord(request)) return "";
  if (typeof request["prompt"] === "string") return request["prompt"];
  const messages = Array.isArray(request["messages"]) ? (request["messages"] as unknown[]) : [];
  const last = messages.at(-1);
  const content = isRecord(last) ? last["content"] : undefined;
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content
    .map((part: unknown) => (isRecord(part) && typeof part["text"] === "string" ? part["text"] : ""))
    .join("");
}

/** Words stand for tokens. */
export const wordsOf = (text: string): readonly string[] => text.match(/\s*\S+\s*$|\s*\S+/g) ?? [];

/** The answer as deltas of a chat stream, one for each token. */
export function deltasOf(answer: ScriptedAnswer, callId: (at: number) => string): readonly object[] {
  return [
    ...wordsOf(answer.reasoning).map((word) => ({ reasoning_content: word })),
    ...wordsOf(answer.text).map((word) => ({ content: word })),
    ...answer.tool_calls.map(({ name, arguments: given }, index) => ({
      tool_calls: [
        {
          index,
          id: callId(index),
          type: "function",
          function: { name, arguments: JSON.stringify(given) },
        },
      ],
    })),
  ];
}

export const finishOf = ({ tool_calls: calls }: ScriptedAnswer): string =>
  calls.length > 0 ? "tool_calls" : "stop";
