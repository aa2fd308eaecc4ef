import type { Clock } from "../../../core/clock.ts";
import { CortexError, errorKind } from "../../../core/errors.ts";
import type { NeuronClient } from "../../../protocol/io/neuron-client.ts";
import type { ApplyEvent } from "../../../protocol/apply-events.ts";
import type { Job } from "../../../protocol/neuron-api.ts";
import type { PlanNeuron } from "../../../protocol/plan-document.ts";
import { endlessJob, jobFailure, progressOf, signOfLife } from "../job-reports.ts";

export interface FollowOptions {
  readonly client: NeuronClient;
  readonly planned: PlanNeuron;
  readonly clock: Clock;
  readonly onEvent: (event: ApplyEvent) => void;
  /** How long a job may go on without a sign of life. */
  readonly stepTimeoutMs?: number | undefined;
  /** The time of the whole apply is over. */
  readonly isOutOfTime: () => boolean;
  /** Somebody watches: memory of the devices is told too. */
  readonly watchDevices: boolean;
}

const POLL_MS = 250;
/** Progress within a state is told no more often than this, and devices are read no more often. */
const TELL_MS = 1000;
/** A neuron that falls silent in the middle of a job is given this long to come back. */
const SILENCE_TIMEOUT_MS = 30_000;
/** Reading a model of hundreds of GiB from a slow disk says nothing for minutes. */
const STEP_TIMEOUT_MS = 10 * 60_000;

/**
 * Tells how far a job is until it has ended; one that shows no sign of life for long is given up. Resolves to the bytes
 * that were fetched for it, as its neuron told.
 */
export async function followJob(step: string, accepted: Job, options: FollowOptions): Promise<number> {
  const following = new Following(step, options);
  for (let job = accepted; job.state !== "done"; job = await nextReport(job.id, options)) {
    if (job.state === "failed") throw jobFailure(job);
    following.note(job);
    if (options.isOutOfTime()) throw endlessJob(job, options.planned, "out-of-time");
    if (options.watchDevices && following.isTimeToRead()) await tellDevices(options);
  }
  return following.fetchedBytes;
}

/** What is known of a job from its reports so far. */
class Following {
  readonly #step: string;
  readonly #options: FollowOptions;
  readonly #beganMs: number;
  fetchedBytes = 0;
  #life = { signs: "", atMs: 0 };
  #told = { state: "", atMs: 0 };
  #readMs = -Infinity;

  constructor(step: string, options: FollowOptions) {
    this.#step = step;
    this.#options = options;
    this.#beganMs = options.clock.monotonicMs();
  }

  /** Tells what is new in a report; throws `step_timeout` when nothing was for long. */
  note(job: Job): void {
    const { clock, planned, onEvent, stepTimeoutMs = STEP_TIMEOUT_MS } = this.#options;
    this.fetchedBytes = job.download?.bytes_total ?? job.download?.bytes_done ?? this.fetchedBytes;
    const signs = signOfLife(job);
    const nowMs = clock.monotonicMs();
    if (signs === this.#life.signs) {
      const silentMs = nowMs - this.#life.atMs;
      if (silentMs >= stepTimeoutMs) throw endlessJob(job, planned, { silentMs });
      return;
    }
    this.#life = { signs, atMs: nowMs };
    if (this.#told.state === job.state && nowMs - this.#told.atMs < TELL_MS) return;
    onEvent(progressOf(this.#step, job, nowMs - this.#beganMs));
    this.#told = { state: job.state, atMs: nowMs };
  }

  isTimeToRead(): boolean {
    const nowMs = this.#options.clock.monotonicMs();
    if (nowMs - this.#readMs < TELL_MS) return false;
    this.#readMs = nowMs;
    return true;
  }
}

/** The job as it is a moment later; a neuron that falls silent is asked again for a while. */
async function nextReport(id: string, { client, clock }: FollowOptions): Promise<Job> {
  const deadlineMs = clock.monotonicMs() + SILENCE_TIMEOUT_MS;
  for (;;) {
    await clock.sleep(POLL_MS);
    try {
      return await client.job(id);
    } catch (thrown) {
      const isSilent = thrown instanceof CortexError && errorKind(thrown.code).retryable;
      if (!isSilent || clock.monotonicMs() > deadlineMs) throw thrown;
    }
  }
}

/** For the eye only: a neuron that does not answer now is not told. */
async function tellDevices({ client, planned, onEvent }: FollowOptions): Promise<void> {
  try {
    const { devices: readings } = await client.health();
    const devices = planned.devices.flatMap(({ index, vram_total_mb }) => {
      const reading = readings.find((device) => device.index === index);
      return reading === undefined ? [] : [{ index, vram_used_mb: reading.vram_used_mb, vram_total_mb }];
    });
    onEvent({ type: "devices-read", neuron: planned.name, devices });
  } catch (thrown) {
    if (!(thrown instanceof CortexError)) throw thrown;
  }
}
