import type { Clock } from "../../core/clock.ts";
import type { CortexError } from "../../core/errors.ts";
import { requestFingerprint } from "../../protocol/openai/request-fingerprint.ts";
import {
  afterAnswer,
  afterDeath,
  condemn,
  NO_SUSPECTS,
  refuseCondemned,
  standingOf,
  suspectKey,
  type Standing,
  type Suspects,
} from "../../protocol/openai/suspects.ts";
import { knownCode, type RelayResult } from "../relay/relay-answer.ts";

interface SentRequest {
  readonly path: string;
  readonly body: Uint8Array;
}

/**
 * What this gateway has seen of requests whose workers died, at any neuron: a request that ended a worker here is not
 * tried on the next replica, however often its client sends it. The neurons judge; the gateway carries their verdicts,
 * and its own count, from one to the other. Without a death it costs nothing.
 */
export class CrashMemory {
  readonly #clock: Pick<Clock, "monotonicMs">;
  #suspects: Suspects = NO_SUSPECTS;

  constructor(clock: Pick<Clock, "monotonicMs">) {
    this.#clock = clock;
  }

  /** Why the request is not sent at all; undefined when it is. */
  refusal(modelId: string, request: SentRequest): CortexError | undefined {
    const { standing, fingerprint } = this.#look(modelId, request);
    if (standing.kind !== "condemned") return undefined;
    return refuseCondemned({ modelId, fingerprint, forMs: standing.forMs });
  }

  /** Deaths at which the request was in flight, for the neuron that gets it now. */
  deaths(modelId: string, request: SentRequest): number {
    const { standing } = this.#look(modelId, request);
    return standing.kind === "suspect" ? standing.deaths : 0;
  }

  /** What came of sending it. */
  note(modelId: string, request: SentRequest, result: RelayResult): void {
    const code = codeOf(result);
    if (code === "request_ended_worker") {
      this.#suspects = condemn(this.#suspects, keyOf(modelId, request), this.#clock.monotonicMs());
    } else if (code === "worker_crashed") {
      this.#suspects = afterDeath(this.#suspects, {
        inFlight: [{ key: keyOf(modelId, request), deathsElsewhere: 0 }],
        // Whether it was alone is for the neuron to say.
        ownDoing: false,
        atMs: this.#clock.monotonicMs(),
      });
    } else if (result.kind === "completed" && this.#suspects.size > 0) {
      this.#suspects = afterAnswer(this.#suspects, keyOf(modelId, request));
    }
  }

  #look(
    modelId: string,
    request: SentRequest,
  ): { readonly standing: Standing; readonly fingerprint: string } {
    if (this.#suspects.size === 0) return { standing: { kind: "unsuspected" }, fingerprint: "" };
    const fingerprint = requestFingerprint(request.path, request.body);
    const key = suspectKey(modelId, fingerprint);
    return { standing: standingOf(this.#suspects, key, this.#clock.monotonicMs()), fingerprint };
  }
}

const keyOf = (modelId: string, { path, body }: SentRequest): string =>
  suspectKey(modelId, requestFingerprint(path, body));

function codeOf(result: RelayResult): string | undefined {
  if (result.kind === "cut") return result.code;
  if (result.kind !== "answered-error" || result.answer.envelope === null) return undefined;
  return knownCode(result.answer.envelope);
}
