import type { Fleet } from "../fleet/schema/fleet-schema.ts";

export interface GatewayTimings {
  /** Between two polls of a neuron. */
  readonly pollIntervalMs: number;
  /** Deadline of each control call to a neuron, polls included. */
  readonly controlTimeoutMs: number;
  /** How long the start waits for first answers, so that a dead neuron delays it no longer. */
  readonly firstPollGraceMs: number;
  /** Between two looks at a load in progress. */
  readonly jobPollMs: number;
  /** Between two comments to a streaming client that waits for a load. */
  readonly keepAliveMs: number;
  /** How long a non-streaming request may wait for a load. */
  readonly loadWaitMs: number;
  /** The same for a streaming request, which sees that work goes on. */
  readonly streamingLoadWaitMs: number;
  /** Longest silence of a neuron that works on a request; 0 = for ever. */
  readonly upstreamSilenceMs: number;
  /** How long connecting to a neuron may take. */
  readonly connectTimeoutMs: number;
  /** How long streams may go on after close() was called. */
  readonly closeGraceMs: number;
}

export const DEFAULT_TIMINGS: GatewayTimings = {
  pollIntervalMs: 1000,
  controlTimeoutMs: 5000,
  firstPollGraceMs: 1000,
  jobPollMs: 250,
  keepAliveMs: 1000,
  loadWaitMs: 300_000,
  streamingLoadWaitMs: 1_800_000,
  upstreamSilenceMs: 900_000,
  connectTimeoutMs: 2000,
  closeGraceMs: 5000,
};

export const DEFAULT_MAX_WAITERS_PER_MODEL = 256;

export interface GatewayConfig extends Partial<GatewayTimings> {
  readonly fleet: Fleet;
  /** Settings that the environment of this machine decides: a plan does not hold them against the files. */
  readonly overridden?: readonly string[];
  readonly listen: { readonly host: string; readonly port: number };
  readonly metricsListen: { readonly host: string; readonly port: number };
  /** File of the usage ledger; absent: usage is counted in memory and lost with the process. */
  readonly ledgerPath?: string;
  /** Listen beyond this machine though nobody is asked for a key. */
  readonly insecure?: boolean;
  /** Sent to every neuron as a bearer token. */
  readonly neuronToken?: string;
  /** Requests that may wait for one load. */
  readonly maxWaitersPerModel?: number;
  /** What `GET /version` answers. */
  readonly build?: { readonly packageVersion: string; readonly gitSha: string };
}

export const timingsOf = (config: GatewayConfig): GatewayTimings => ({ ...DEFAULT_TIMINGS, ...config });
