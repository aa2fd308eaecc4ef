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

/** What `cortex up --json` writes, one event a line, in the order it happens; `text` comes as the model writes it. */
export type DemoEvent =
  | { readonly type: "repository"; readonly directory: string; readonly created: boolean }
  | {
      readonly type: "started";
      readonly gateway: string;
      readonly metrics: string;
      readonly devices: readonly string[];
    }
  | { readonly type: "plan"; readonly plan: PlanDocument }
  | { readonly type: "apply"; readonly event: ApplyEvent }
  | { readonly type: "question"; readonly question: string; readonly tools: readonly string[] }
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "answer"; readonly answer: ChatAnswer }
  | { readonly type: "up"; readonly base_url: string; readonly directory: string };
