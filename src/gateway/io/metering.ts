import { assertNever } from "../../core/assert-never.ts";
import type { Clock } from "../../core/clock.ts";
import { CortexError } from "../../core/errors.ts";
import { NO_USAGE, type TokenUsage } from "../../protocol/headers/usage-header.ts";
import type { KeyLimits, Principal } from "../keys/key-ring.ts";
import { reservationTokens, tokensOfText } from "../keys/reservation-size.ts";
import type { RequestOutcome, Reservation, UsageLedger, Verdict } from "../keys/usage-ledger.ts";
import type { RequestFacts } from "../front/request-facts.ts";
import type { AnswerCost } from "../relay/relay-answer.ts";
import type { GatewayMetrics } from "./gateway-metrics.ts";
import type { UnderWayRequests } from "./under-way-requests.ts";

export interface MeteringDeps {
  readonly clock: Clock;
  readonly ledger: Pick<UsageLedger, "open" | "charge">;
  readonly underWay: UnderWayRequests;
  readonly metrics: Pick<GatewayMetrics, "keyRefusals" | "keyTokens">;
}

export interface MeteredRequest {
  readonly meterId: string;
  readonly principal: Principal;
  readonly facts: RequestFacts;
  readonly bodyBytes: number;
  /** The catalogue's longest answer of the model, where it has one. */
  readonly modelOutputTokens: number | null;
}

/**
 * Reserves what the request may cost; null where nothing is limited. Throws `rate_limit_exceeded` where waiting helps,
 * `insufficient_quota` where it does not. Whoever gets a reservation must charge it, however the request ends.
 */
export function reserve(deps: MeteringDeps, request: MeteredRequest): Promise<Reservation> | null {
  const { limits } = request.principal;
  return limits === null ? null : openReservation(deps, request, limits);
}

async function openReservation(
  deps: MeteringDeps,
  request: MeteredRequest,
  limits: KeyLimits,
): Promise<Reservation> {
  const { id } = request.principal;
  const { meterId, facts, bodyBytes, modelOutputTokens } = request;
  const { maxOutputTokens, answers } = facts;
  const tokens = reservationTokens({ bodyBytes, maxOutputTokens, answers, modelOutputTokens });
  const verdict = await deps.ledger.open({ meterId, keyId: id, limits, tokens, nowMs: deps.clock.nowMs() });
  if (verdict.kind === "granted") return verdict.reservation;
  deps.metrics.keyRefusals.inc({ key: id, limit: verdict.limit });
  throw refusalOf(request.principal, verdict, tokens);
}

type Refused = Extract<Verdict, { kind: "refused" }>;

function refusalOf({ id, limits }: Principal, refused: Refused, asked: number): CortexError {
  const { limit, retryAfterMs, standing } = refused;
  const details = { key: id, limit, ...standing, askedTokens: asked };
  const message = `the key ${id} ${words(refused, { limits, asked })}`;
  if (retryAfterMs === null) return new CortexError("insufficient_quota", message, { details });
  const retryAfterSecs = Math.max(1, Math.ceil(retryAfterMs / 1000));
  return new CortexError("rate_limit_exceeded", message, { details, retryAfterSecs });
}

function words(
  { limit, standing }: Refused,
  { limits, asked }: { readonly limits: Principal["limits"]; readonly asked: number },
): string {
  switch (limit) {
    case "requests-per-minute":
      return `has begun ${standing.requestsInLastMinute} requests within a minute, which is its limit`;
    case "parallel-requests":
      return `has ${standing.parallelRequests} requests under way, which is its limit`;
    case "tokens": {
      const cap = limits?.tokens?.hardCap ?? 0;
      const under = standing.reservedTokens === 0 ? "" : ` and ${standing.reservedTokens} under way`;
      return `has spent ${standing.spentTokens} of its ${cap} tokens${under}; this request may take ${asked}`;
    }
    default:
      return assertNever(limit);
  }
}

export interface EndedRequest {
  readonly meterId: string;
  readonly principal: Principal;
  readonly reservation: Reservation | null;
  /** Undefined for a model that nobody declared. */
  readonly modelId: string | undefined;
  readonly bodyBytes: number;
  readonly outcome: RequestOutcome;
  /** Of the attempt whose answer the client got; undefined when none was begun. */
  readonly cost: AnswerCost | undefined;
}

/** Counts a request that has ended, whichever way. */
export function charge(deps: MeteringDeps, ended: EndedRequest): void {
  const { meterId, principal, reservation, modelId, outcome } = ended;
  const usage = usageOf(ended);
  if (modelId === undefined && reservation === null) return;
  const nowMs = deps.clock.nowMs();
  deps.ledger.charge(reservation, {
    meterId,
    keyId: principal.id,
    modelId: modelId ?? "",
    usage,
    outcome,
    nowMs,
  });
  if (usage === NO_USAGE) return;
  deps.metrics.keyTokens.inc({ key: principal.id, kind: "prompt" }, usage.promptTokens);
  deps.metrics.keyTokens.inc({ key: principal.id, kind: "completion" }, usage.completionTokens);
}

/**
 * An answer that broke off, or whose neuron did not tell, is charged for what came of it: the prompt and the answer by
 * their length, a stream by its events.
 */
export function usageOf({ cost, bodyBytes }: Pick<EndedRequest, "cost" | "bodyBytes">): TokenUsage {
  if (cost === undefined) return NO_USAGE;
  if (cost.usage !== undefined) return cost.usage;
  const completionTokens = cost.eventsPassed + tokensOfText(cost.bytesPassed);
  if (completionTokens === 0) return NO_USAGE;
  return { ...NO_USAGE, promptTokens: cost.promptTokens ?? tokensOfText(bodyBytes), completionTokens };
}
