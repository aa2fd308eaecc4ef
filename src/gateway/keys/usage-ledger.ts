import type { TokenUsage } from "../../protocol/headers/usage-header.ts";
import type { KeyBlock } from "../../fleet/schema/fleet-schema.ts";
import type { KeyLimits } from "./key-ring.ts";

/**
 * What the gateway counts: reservations before a request is sent, usage when it has ended.
 *
 * Implementations are held to one contract suite. Times are the caller's, in milliseconds since 1970.
 */
export interface UsageLedger {
  /** The keys that are declared from now on: what they have spent before is taken over, as their windows count it. */
  declare(keys: readonly KeyBlock[]): void;
  /** Reserves for a request of a limited key, or says what is used up. */
  open(opening: Opening): Verdict | Promise<Verdict>;
  /** Ends a reservation and counts what was used; `null` for a request that reserved nothing. Never twice for one. */
  charge(reservation: Reservation | null, used: CountedRequest): void;
  /**
   * What the requests under way have cost so far, told every second. Should this process die, they are charged by what
   * was told last: by the next process, or by another one that shares the ledger.
   */
  noteUnderWay(requests: readonly UnderWay[]): void;
  /** Usage by key, model and hour, of the hours that begin in the span. */
  usage(span: { readonly fromMs: number; readonly toMs: number }): Promise<readonly UsageRow[]>;
  /** What a key has left now. */
  standing(keyId: string, limits: KeyLimits, nowMs: number): Standing | Promise<Standing>;
  /** Everything counted so far is kept, whatever happens next. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

export interface Opening {
  /** Of the gateway's own making, and no other request's in any gateway: clients repeat theirs. */
  readonly meterId: string;
  readonly keyId: string;
  readonly limits: KeyLimits;
  /** The most that the request may cost, as far as can be told before. */
  readonly tokens: number;
  readonly nowMs: number;
}

export interface Reservation {
  readonly meterId: string;
  readonly keyId: string;
  readonly tokens: number;
}

export type LimitKind = "requests-per-minute" | "parallel-requests" | "tokens";

export type Verdict =
  | { readonly kind: "granted"; readonly reservation: Reservation }
  | {
      readonly kind: "refused";
      readonly limit: LimitKind;
      /** When it can succeed; null: never, unless the key is given more. */
      readonly retryAfterMs: number | null;
      readonly standing: Standing;
    };

export interface Standing {
  /** Tokens spent within the window, and reserved by requests under way. */
  readonly spentTokens: number;
  readonly reservedTokens: number;
  readonly requestsInLastMinute: number;
  readonly parallelRequests: number;
}

export type RequestOutcome = "answered" | "cut" | "failed";

export interface CountedRequest {
  readonly meterId: string;
  readonly keyId: string;
  readonly modelId: string;
  readonly usage: TokenUsage;
  readonly outcome: RequestOutcome;
  readonly nowMs: number;
}

/** A request that has not ended. */
export type UnderWay = Pick<CountedRequest, "meterId" | "keyId" | "modelId" | "usage">;

export interface UsageRow extends TokenUsage {
  readonly keyId: string;
  readonly modelId: string;
  /** Beginning of the hour. */
  readonly hourMs: number;
  readonly requests: number;
  readonly cut: number;
  readonly failed: number;
}

export const HOUR_MS = 3_600_000;
