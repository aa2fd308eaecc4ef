import type { Breach, RuleName } from "./rules.ts";

/** One event of a stream as it came: a server-sent event, or a line of JSON. */
export interface StreamEvent {
  readonly name: string | undefined;
  readonly text: string;
  /** The JSON in it; undefined where it is none. */
  readonly payload: unknown;
}

export interface ToldCall {
  readonly id: string;
  readonly name: string;
  /** The arguments as one text. */
  readonly json: string;
}

/** What an answer said, streamed or whole, in the words of no dialect. */
export interface ToldAnswer {
  readonly text: string;
  readonly thinking: string;
  readonly calls: readonly ToldCall[];
  /** Why it ended, in the dialect's word. */
  readonly stop: string | null;
  readonly usage: { readonly input: number; readonly output: number } | null;
  readonly model: string | null;
}

export const NOTHING_TOLD: ToldAnswer = {
  text: "",
  thinking: "",
  calls: [],
  stop: null,
  usage: null,
  model: null,
};

/** `open`: more has to come. `failed`: an error event has come. */
export type StreamPhase = "open" | "ended" | "failed";

export interface GrammarState {
  readonly phase: StreamPhase;
  readonly told: ToldAnswer;
}

export interface GrammarStep<State> {
  readonly state: State;
  readonly breaches: readonly Breach[];
}

/**
 * The order in which events of a dialect may come, as a reducer. It goes on after a breach as far as it can: one report
 * names all that is wrong.
 */
export interface StreamGrammar<State extends GrammarState = GrammarState> {
  readonly start: State;
  step(state: State, event: StreamEvent): GrammarStep<State>;
  /** What is missing where a stream ends that says that it is whole. */
  missing(state: State): readonly Breach[];
  /** Whether an event may still follow an error. */
  readonly mayFollowError?: (event: StreamEvent) => boolean;
}

/** How the bytes ended. */
export type StreamEnding = "complete" | "broken";

export interface JudgedStream {
  readonly breaches: readonly Breach[];
  readonly phase: StreamPhase;
  readonly told: ToldAnswer;
}

export const breach = (rule: RuleName, detail: string): Breach => ({ rule, detail });

/** Holds the events of one stream to a grammar, and to what is true of streams in every dialect. */
export function judgeStream<State extends GrammarState>(
  grammar: StreamGrammar<State>,
  events: readonly StreamEvent[],
  ending: StreamEnding,
): JudgedStream {
  let { start: state } = grammar;
  const breaches: Breach[] = [];
  for (const event of events) {
    if (state.phase === "failed" && grammar.mayFollowError?.(event) === true) continue;
    if (state.phase !== "open") {
      breaches.push(breach("nothing-after-end", `after the end: ${shown(event)}`));
      continue;
    }
    const step = grammar.step(state, event);
    ({ state } = step);
    breaches.push(...step.breaches);
  }
  if (state.phase === "ended") breaches.push(...grammar.missing(state));
  breaches.push(...judgeEnding(state.phase, ending));
  return { breaches, phase: state.phase, told: state.told };
}

function judgeEnding(phase: StreamPhase, ending: StreamEnding): readonly Breach[] {
  if (phase === "open") {
    return ending === "complete"
      ? [breach("stream-terminated", "the stream ended in good order without its last event")]
      : [breach("error-then-broken", "the connection broke without an error event before it")];
  }
  if (phase === "failed" && ending === "complete") {
    return [
      breach(
        "error-then-broken",
        "the stream ended in good order after an error event: clients take it as whole",
      ),
    ];
  }
  return phase === "ended" && ending === "broken"
    ? [breach("stream-terminated", "the connection broke after the last event: clients ask again")]
    : [];
}

const LONGEST_SHOWN = 160;

/** An event in a message. */
export function shown({ name, text }: StreamEvent): string {
  const cut = text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}...` : text;
  return name === undefined ? cut : `${name} ${cut}`;
}
