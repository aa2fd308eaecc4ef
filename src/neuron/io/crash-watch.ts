import type { Clock } from "../../core/clock.ts";
import { CortexError } from "../../core/errors.ts";
import type { Logger } from "../../platform/logger.ts";
import { requestFingerprint } from "../../protocol/openai/request-fingerprint.ts";
import {
  afterAnswer,
  afterDeath,
  CONDEMNED_MS,
  refuseCondemned,
  standingOf,
  suspectKey,
  type Standing,
  type Suspects,
} from "../../protocol/openai/suspects.ts";
import { describeExit, diedByItself, exitDetails, type WorkerExit } from "../residency/worker-exit.ts";
import type { ModelWorker } from "../residency/io/model-worker.ts";
import type { SuspectFile } from "./suspect-file.ts";
import { createTurns } from "./turns.ts";

export interface ArrivedRequest {
  readonly modelId: string;
  readonly path: string;
  readonly body: Uint8Array;
  /** Deaths at which a gateway has seen it in flight at other neurons. */
  readonly deathsElsewhere: number;
  /** Aborts when its client leaves. */
  readonly signal: AbortSignal;
}

/** A request on its way to a worker. */
export interface WatchedRequest {
  /** It is at this worker now. */
  sentTo(worker: ModelWorker): void;
  /** Why it has no answer, once its worker is gone. */
  explain(exit: WorkerExit): CortexError;
  /** Exactly once; `answered` when the worker's answer was complete. */
  end(answered: boolean): void;
}

/**
 * Remembers which requests were in flight when a worker died, and lets no request end worker after worker (the rule is
 * in `suspects.ts`). A request costs nothing here as long as no worker has died: only then is a fingerprint taken.
 */
export class CrashWatch {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #turns = createTurns();
  readonly #inFlight = new Map<ModelWorker, Set<TrackedRequest>>();
  readonly #file: SuspectFile;
  #suspects: Suspects;

  constructor(deps: { readonly clock: Clock; readonly logger: Logger; readonly suspectFile: SuspectFile }) {
    this.#clock = deps.clock;
    this.#logger = deps.logger;
    this.#file = deps.suspectFile;
    this.#suspects = deps.suspectFile.known;
  }

  /** Throws `request_ended_worker`; a suspect waits here until no other of its model is at work. */
  async admit(request: ArrivedRequest): Promise<WatchedRequest> {
    const tracked = new TrackedRequest(request);
    if (this.#suspects.size === 0 && request.deathsElsewhere === 0) return this.#watch(tracked, undefined);
    let standing = this.#standing(tracked);
    if (standing.kind === "unsuspected" && request.deathsElsewhere === 0)
      return this.#watch(tracked, undefined);
    this.#refuse(tracked, standing);
    const release = await this.#turns.take(request.modelId, request.signal);
    standing = this.#standing(tracked);
    if (standing.kind === "condemned") release();
    this.#refuse(tracked, standing);
    return this.#watch(tracked, release);
  }

  #standing({ key }: TrackedRequest): Standing {
    return standingOf(this.#suspects, key, this.#clock.monotonicMs());
  }

  #refuse({ request, fingerprint }: TrackedRequest, standing: Standing): void {
    if (standing.kind !== "condemned") return;
    throw refuseCondemned({ modelId: request.modelId, fingerprint, forMs: standing.forMs });
  }

  #watch(tracked: TrackedRequest, release: (() => void) | undefined): WatchedRequest {
    let at: Set<TrackedRequest> | undefined;
    return {
      sentTo: (worker) => {
        at = this.#requestsAt(worker);
        at.add(tracked);
      },
      explain: (exit) => this.#explain(tracked, exit),
      end: (answered) => {
        at?.delete(tracked);
        if (answered && this.#suspects.size > 0) this.#learn(afterAnswer(this.#suspects, tracked.key));
        release?.();
      },
    };
  }

  #requestsAt(worker: ModelWorker): Set<TrackedRequest> {
    const known = this.#inFlight.get(worker);
    if (known !== undefined) return known;
    const requests = new Set<TrackedRequest>();
    this.#inFlight.set(worker, requests);
    void this.#judgeAfter(worker, requests);
    return requests;
  }

  /** Begun before anybody else waits for the exit: whoever asks for an explanation finds the verdict. */
  async #judgeAfter(worker: ModelWorker, requests: ReadonlySet<TrackedRequest>): Promise<void> {
    const exit = await worker.exited;
    this.#inFlight.delete(worker);
    if (!worker.stopRequested) this.#judge([...requests], exit);
  }

  #judge(requests: readonly TrackedRequest[], exit: WorkerExit): void {
    const death = {
      inFlight: requests.map(({ key, request }) => ({ key, deathsElsewhere: request.deathsElsewhere })),
      ownDoing: diedByItself(exit),
      atMs: this.#clock.monotonicMs(),
    };
    this.#learn(afterDeath(this.#suspects, death));
    for (const tracked of requests) {
      const { kind } = this.#standing(tracked);
      const { modelId: model } = tracked.request;
      const found = { model, fingerprint: tracked.fingerprint, in_flight: requests.length, verdict: kind };
      this.#logger.warn(found, "a request was in flight when its worker died");
    }
  }

  #learn(suspects: Suspects): void {
    if (suspects === this.#suspects) return;
    this.#suspects = suspects;
    this.#file.keep(suspects);
  }

  #explain(tracked: TrackedRequest, exit: WorkerExit): CortexError {
    const { modelId } = tracked.request;
    const { fingerprint } = tracked;
    const details = { ...exitDetails(exit), fingerprint };
    if (this.#standing(tracked).kind === "condemned") {
      return refuseCondemned({ modelId, fingerprint, forMs: CONDEMNED_MS, details });
    }
    const message = `the worker of ${modelId} ${describeExit(exit)} while it answered`;
    return new CortexError("worker_crashed", message, { details });
  }
}

class TrackedRequest {
  readonly request: ArrivedRequest;
  #fingerprint: string | undefined;

  constructor(request: ArrivedRequest) {
    this.request = request;
  }

  get fingerprint(): string {
    this.#fingerprint ??= requestFingerprint(this.request.path, this.request.body);
    return this.#fingerprint;
  }

  get key(): string {
    return suspectKey(this.request.modelId, this.fingerprint);
  }
}
