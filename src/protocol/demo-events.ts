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
  /** A step failed where a script of faults may want it; the others go on. */
  | {
      readonly type: "failed";
      readonly error: {
        readonly code: string;
        readonly message: string;
        readonly next: string | null | undefined;
      };
    }
  /** Everything is shown; the stack runs on until it is stopped. */
  | { readonly type: "up"; readonly base_url: string; readonly directory: string };

/** What `cortex selftest` found out about this machine; its names stay, as scripts read them. Sizes in MiB. */
export interface SelfTestReport {
  readonly ok: boolean;
  readonly package_version: string;
  readonly engine_version: string | null;
  readonly driver_version: string | null;
  readonly cuda_unavailable_reason: string | null;
  readonly devices: readonly {
    readonly index: number;
    readonly kind: string;
    readonly name: string;
    readonly vram_total_mb: number;
  }[];
  /** What computed the answers: the kind of the device that the model lay on. */
  readonly backend: string;
  readonly model: string;
  readonly load_secs: number;
  readonly memory: {
    readonly device: number;
    readonly before_mb: number;
    readonly loaded_mb: number;
    readonly after_mb: number;
    readonly estimated_mb: number;
    readonly measured_mb: number;
  };
  readonly throughput: readonly {
    readonly streams: number;
    /** Of all streams together, from the first request to the last token. */
    readonly tokens_per_second: number;
    readonly first_token_ms_median: number;
  }[];
  /** From the client's leaving until its slot is free. */
  readonly cancellation_ms: number;
  readonly checks: readonly SelfTestCheck[];
}

export interface SelfTestCheck {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}
