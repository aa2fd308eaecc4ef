import type { z } from "zod";
import type { Breach, RuleName } from "../grammar/rules.ts";
import type { StreamGrammar, ToldAnswer, ToldCall } from "../grammar/stream-grammar.ts";

export interface OfferedTool {
  readonly name: string;
  readonly description: string;
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** One request, in the words of no dialect. */
export interface Question {
  readonly text: string;
  readonly limit: number;
  readonly stream: boolean;
  readonly tools?: readonly OfferedTool[];
  /** The tool that has to be called, where the dialect can say it. */
  readonly demand?: string;
  /** A call that was made in answer to the text, and its result. */
  readonly called?: { readonly call: ToldCall; readonly result: string };
}

export interface WholeAnswer {
  /** Absent where the answer could not be read. */
  readonly told?: ToldAnswer;
  readonly breaches: readonly Breach[];
}

export interface ListedModel {
  readonly id: string;
  /** What it can hold, where the list says so. */
  readonly context: number | null;
}

export interface WrongRequest {
  readonly what: string;
  readonly body: string;
  readonly statuses: readonly number[];
}

/** What a dialect asks and how its answers are read. Pure: connections are `io/`'s. */
export interface ConformDialect {
  readonly path: string;
  readonly modelsPath: string;
  headers(apiKey: string | undefined): Readonly<Record<string, string>>;
  body(model: string, question: Question): Readonly<Record<string, unknown>>;
  /** Throws a `z.ZodError` on what is no list. */
  models(list: unknown): readonly ListedModel[];
  whole(answer: unknown): WholeAnswer;
  readonly errorSchema: z.ZodType;
  readonly grammar: StreamGrammar;
  /** The rules that only this dialect's streams have. */
  readonly streamRules: readonly RuleName[];
  readonly framing: "events" | "lines";
  readonly streamType: string;
  /** The words for why an answer ended. */
  readonly stops: readonly string[];
  readonly limitStop: string;
  /** The word for an answer that ended in a call; null where the dialect has none. */
  readonly toolStop: string | null;
  /** Whether an error about a conversation that is too long is one that agents know; null: the dialect has no such words. */
  readonly knowsOverflow: ((status: number, body: unknown) => boolean) | null;
  /** Fields that clients were seen to send, and that ask for nothing. */
  readonly hints: Readonly<Record<string, unknown>>;
  /** Statuses of a request whose fields are wrong. */
  readonly wrongStatuses: readonly number[];
}
