import type { CrewOptions } from "./crew/crew-messages.ts";
import type { GatewayTable } from "../fleet/schema/gateway-table.ts";
import type { AnswerLimits } from "./relay/answer-watch.ts";
import type { Fleet } from "../fleet/schema/fleet-schema.ts";
import type { SchedulerPolicy } from "./loading/scheduler-state.ts";

export interface GatewayTimings extends AnswerLimits {
  /** Between two polls of a neuron. */
  readonly pollIntervalMs: number;
  /** Deadline of each control call to a neuron, polls included. */
  readonly controlTimeoutMs: number;
  /** How long the start waits for first answers, so that a dead neuron delays it no longer. */
  readonly firstPollGraceMs: number;
  /** Between two looks at a load in progress. */
  readonly jobPollMs: number;
  /** Between two comments to a streaming client that waits for a load. */
  readonly loadCommentMs: number;
  /** Between two looks at the deadlines of answers under way. */
  readonly tickMs: number;
  /** How long a non-streaming request may wait for a load. */
  readonly loadWaitMs: number;
  /** The same for a streaming request, which sees that work goes on. */
  readonly streamingLoadWaitMs: number;
  /** Before a request that failed everywhere is tried again for the first time; later times are longer. */
  readonly retryPauseMs: number;
  /** How long connecting to a neuron may take. */
  readonly connectTimeoutMs: number;
  /** How long streams may go on after close() was called. */
  readonly closeGraceMs: number;
  /** How long a client may read nothing of what waits for it. */
  readonly stallMs: number;
}

/** What no fleet file decides. */
const FIXED_TIMINGS = {
  pollIntervalMs: 1000,
  controlTimeoutMs: 5000,
  firstPollGraceMs: 1000,
  jobPollMs: 250,
  loadCommentMs: 1000,
  firstKeepAliveMs: 1000,
  tickMs: 1000,
  retryPauseMs: 250,
  connectTimeoutMs: 2000,
} as const;

export interface GatewayConfig extends Partial<GatewayTimings> {
  readonly fleet: Fleet;
  /** Settings that the environment of this machine decides: a plan does not hold them against the files. */
  readonly overridden?: readonly string[];
  /** What tells the fleet's repository from others; none outside of git. */
  readonly repository?: readonly string[] | undefined;
  readonly listen: { readonly host: string; readonly port: number };
  readonly metricsListen: { readonly host: string; readonly port: number };
  /** File of the usage ledger; absent: usage is counted in memory and lost with the process. */
  readonly ledgerPath?: string;
  /** Listen beyond this machine though nobody is asked for a key. */
  readonly insecure?: boolean;
  /** Requests that may wait for one model; what the fleet files say by default. */
  readonly maxWaitersPerModel?: number;
  /** Present where requests are traced: those that their client traces, and this part of all others. */
  readonly tracing?: { readonly sampleRatio: number; readonly url?: string };
  /** Present where other processes serve the requests: how many, and what they run. */
  readonly crew?: CrewOptions;
  /** What `GET /version` answers. */
  readonly build?: { readonly packageVersion: string; readonly gitSha: string };
}

/** From the fleet files, unless the caller says otherwise. */
export const timingsOf = (config: GatewayConfig): GatewayTimings => ({
  ...FIXED_TIMINGS,
  ...timingsFrom(config.fleet.gateway),
  ...config,
});

const timingsFrom = ({ limits, queue_wait_secs, queue_wait_stream_secs }: GatewayTable) => ({
  loadWaitMs: queue_wait_secs * 1000,
  streamingLoadWaitMs: queue_wait_stream_secs * 1000,
  firstByteMs: limits.first_byte_secs * 1000,
  answerMs: limits.answer_secs * 1000,
  silenceMs: limits.silence_secs * 1000,
  stallMs: limits.stall_secs * 1000,
  keepAliveMs: limits.keep_alive_secs * 1000,
  closeGraceMs: limits.shutdown_secs * 1000,
});

export function policyOf({ fleet, maxWaitersPerModel }: GatewayConfig): SchedulerPolicy {
  const { eviction, gateway } = fleet;
  const { min_residency_secs: minResidencySecs } = eviction;
  return {
    strategy: eviction.strategy,
    minResidencyMs: minResidencySecs === undefined ? null : minResidencySecs * 1000,
    drainMs: eviction.drain_secs * 1000,
    lingerMs: gateway.load_linger_secs * 1000,
    maxWaitersPerModel: maxWaitersPerModel ?? gateway.queue_limit,
    defragAfterCycles: eviction.defrag_after_cycles,
  };
}
