import type { ApplyEvent } from "./apply-events.ts";
import type { PlanDocument } from "./plan-document.ts";

/** One answered chat, measured by the client that asked. */
export interface ChatAnswer {
  readonly text: string;
  readonly toolCalls: readonly { readonly name: string; readonly arguments: string }[];
  /** Milliseconds from sending the request to the first text or tool call. */
  readonly firstTokenMs: number;
  readonly completionTokens: number;
  /** Decode speed after the first token; null when there was only one. */
  readonly tokensPerSecond: number | null;
}

/** What `cortex up --json` writes, one event a line, in the order it happens; scripts read it, so its names stay. */
export type DemoEvent =
  /** The demo fleet repository is there: made now, or as its owner left it. */
  | { readonly type: "repository"; readonly directory: string; readonly created: boolean }
  /** Neuron and gateway listen. */
  | {
      readonly type: "started";
      readonly gateway: string;
      readonly metrics: string;
      readonly devices: readonly string[];
    }
  /** What is to be loaded. */
  | { readonly type: "plan"; readonly plan: PlanDocument }
  /** The apply tells how it goes on. */
  | { readonly type: "apply"; readonly event: ApplyEvent }
  /** A sample question was sent, with the tools that it offers. */
  | { readonly type: "question"; readonly question: string; readonly tools: readonly string[] }
  /** A piece of the answer, as the model writes it. */
  | { readonly type: "text"; readonly text: string }
  /** The answer is whole. */
  | { readonly type: "answer"; readonly answer: ChatAnswer }
  /** Everything is shown; the stack runs on until it is stopped. */
  | { readonly type: "up"; readonly base_url: string; readonly directory: string };
