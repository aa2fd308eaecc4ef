import type { Clock } from "../core/clock.ts";
import type { CortexError } from "../core/errors.ts";
import { requestFingerprint } from "../protocol/openai/request-fingerprint.ts";
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
} from "../protocol/openai/suspects.ts";
import type { CrashNews } from "./crew/crew-messages.ts";
import { knownCode, type RelayResult } from "./relay/relay-answer.ts";

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
  readonly #tell: ((news: CrashNews) => void) | undefined;
  #suspects: Suspects;

  /** `tell`: where other processes of the gateway want to hear of it; `suspects`: what they know already. */
  constructor(
    clock: Pick<Clock, "monotonicMs">,
    {
      tell,
      suspects = NO_SUSPECTS,
    }: { readonly tell?: (news: CrashNews) => void; readonly suspects?: Suspects } = {},
  ) {
    this.#clock = clock;
    this.#tell = tell;
    this.#suspects = suspects;
  }

  get suspects(): Suspects {
    return this.#suspects;
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
    const kind = newsOf(result);
    if (kind === null || (kind === "answered" && this.#suspects.size === 0)) return;
    const news = { kind, key: keyOf(modelId, request) };
    this.learn(news);
    this.#tell?.(news);
  }

  /** What was seen here, or by another process of the gateway. */
  learn({ kind, key }: CrashNews): void {
    const atMs = this.#clock.monotonicMs();
    if (kind === "condemned") this.#suspects = condemn(this.#suspects, key, atMs);
    else if (kind === "answered") this.#suspects = afterAnswer(this.#suspects, key);
    else {
      this.#suspects = afterDeath(this.#suspects, {
        inFlight: [{ key, deathsElsewhere: 0 }],
        // Whether it was alone is for the neuron to say.
        ownDoing: false,
        atMs,
      });
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

function newsOf(result: RelayResult): CrashNews["kind"] | null {
  if (result.kind === "completed") return "answered";
  const code = codeOf(result);
  if (code === "request_ended_worker") return "condemned";
  return code === "worker_crashed" ? "died" : null;
}

function codeOf(result: RelayResult): string | undefined {
  if (result.kind === "cut") return result.code;
  if (result.kind !== "answered-error" || result.answer.envelope === null) return undefined;
  return knownCode(result.answer.envelope);
}
