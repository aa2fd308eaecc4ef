import type { RequestOutcome } from "../keys/usage-ledger.ts";
import { CortexError } from "../../core/errors.ts";
import { mayUse, modelNotAllowed, type Principal } from "../keys/key-ring.ts";
import { knownModelId } from "../routing/route-request.ts";
import { MEDIA_ROUTES } from "../../protocol/openai/media-routes.ts";
import { requireDeclared } from "../front/declared-abilities.ts";
import { resolveAlias } from "../view/fleet-index.ts";
import { CLIENT_LEFT, type Exchange } from "./exchange.ts";
import { serveInference, type InferenceDeps } from "./inference-handler.ts";
import { charge, reserve, usageOf, type MeteringDeps } from "./metering.ts";

/** A key uses what it may; what it may not is told apart from what is not there. */
export function requireUse(
  { fleet, poller }: Pick<InferenceDeps, "fleet" | "poller">,
  principal: Principal,
  model: string,
): void {
  if (mayUse(principal, [model, resolveAlias(fleet, model)])) return;
  const known = knownModelId(fleet, poller.view(), model) !== undefined;
  throw known
    ? modelNotAllowed(principal, model)
    : new CortexError("model_not_found", "this fleet has no such model", { param: "model" });
}

/**
 * Serves one request on its key's account: reserved before it is sent, counted when it has ended, whichever way.
 * Rejects with what the key is not allowed, before anything was answered, or with a defect.
 */
export async function serveMetered(exchange: Exchange, deps: InferenceDeps & MeteringDeps): Promise<void> {
  const { principal, facts, trace } = exchange;
  requireUse(deps, principal, facts.model);
  const modelId = resolveAlias(deps.fleet, facts.model);
  const block = deps.fleet.modelsById.get(modelId);
  requireDeclared({ path: exchange.path, body: exchange.body, modelId, block });
  const isMedia = MEDIA_ROUTES.has(exchange.path);
  // The length of a sound or a picture tells no tokens: such requests are counted, and cost none.
  const bodyBytes = isMedia ? 0 : exchange.body.length;
  const modelOutputTokens = isMedia ? 0 : (block?.limit?.output ?? null);
  const meterId = deps.underWay.nextId();
  const reserving = reserve(deps, { meterId, principal, facts, bodyBytes, modelOutputTokens });
  const reservation = reserving === null ? null : await reserving;
  let outcome: RequestOutcome = "failed";
  const usageSoFar = () => usageOf({ cost: trace.costSoFar?.(), bodyBytes });
  const ended = deps.underWay.begin({ meterId, keyId: principal.id, trace, usageSoFar });
  try {
    await serveInference(exchange, deps);
    outcome = outcomeOf(exchange);
  } finally {
    ended();
    const { modelId, cost } = trace;
    charge(deps, { meterId, principal, reservation, modelId, bodyBytes, outcome, cost });
  }
}

function outcomeOf({ trace, cancellation }: Exchange): RequestOutcome {
  if (trace.cut || cancellation.reason === CLIENT_LEFT) return "cut";
  return trace.errorCode === undefined ? "answered" : "failed";
}
