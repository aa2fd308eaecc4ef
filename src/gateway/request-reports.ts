import type { RequestExplanation, RequestSummary } from "../protocol/request-explanation.ts";
import type { RequestRate } from "./request-rate.ts";
import { requestExplanation, requestSummary, type RequestMemory } from "./request-record.ts";
import { countTraffic, type TrafficCounts } from "./traffic-of-late.ts";

/** What goes through a gateway now and did so of late. */
export interface GatewayTraffic {
  readonly requestsInFlight: number;
  /** Over the last ten seconds, as all that is told by the second. */
  readonly requestsPerSec: number;
  readonly connectionsRefusedPerSec: number;
  readonly ofLate: TrafficCounts;
}

/** What a gateway tells of its requests, whichever of its processes has them. */
export interface RequestReports {
  traffic(): GatewayTraffic;
  /** How many requests are remembered at most. */
  readonly kept: number;
  /** Latest first. */
  latest(count: number): readonly RequestSummary[] | Promise<readonly RequestSummary[]>;
  explained(requestId: string): RequestExplanation | null | Promise<RequestExplanation | null>;
}

interface RequestsHere {
  readonly requests: RequestMemory;
  readonly rate: RequestRate;
  readonly connectionsRefused: RequestRate;
  readonly requestsInFlight: () => number;
  readonly monotonicMs: () => number;
}

/** Of the requests of this process. */
export function reportsOf(here: RequestsHere): RequestReports {
  const { requests, rate, connectionsRefused, requestsInFlight, monotonicMs } = here;
  return {
    kept: requests.kept,
    latest: (count) => requests.latest(count).map(requestSummary),
    explained: (requestId) => {
      const record = requests.find(requestId);
      return record === undefined ? null : requestExplanation(record);
    },
    traffic: () => {
      const nowMs = monotonicMs();
      return {
        requestsInFlight: requestsInFlight(),
        requestsPerSec: rate.perSecond(nowMs),
        connectionsRefusedPerSec: connectionsRefused.perSecond(nowMs),
        ofLate: countTraffic(requests.latest(requests.kept), nowMs),
      };
    },
  };
}
