import { expect, test } from "vitest";
import { trafficFromMetrics } from "../../../src/controller/observe/traffic-counters.ts";

const METRICS = `# HELP cortex_requests_total Requests by HTTP status
# TYPE cortex_requests_total counter
cortex_requests_total{model="Qwen/Qwen3-8B",node="benjy",status="200"} 110
cortex_requests_total{model="Qwen/Qwen3-8B",node="benjy",status="499"} 10
cortex_requests_total{model="odd \\"name\\"",node="beast",status="200"} 1
cortex_requests_total{model="unknown",node="",status="404"} 7
cortex_requests_in_flight{model="Qwen/Qwen3-8B"} 3
process_start_time_seconds 1000
`;

test("requests since the start of the gateway, spread over the time since then", () => {
  expect(trafficFromMetrics(METRICS, 1_600_000)).toEqual({
    windowSecs: 600,
    copies: [
      { neuron: "benjy", modelId: "Qwen/Qwen3-8B", requestsPerMinute: 12 },
      { neuron: "beast", modelId: 'odd "name"', requestsPerMinute: 0.1 },
    ],
  });
});

test.each([
  ["a text that is no exposition", "<html>", 1_600_000],
  ["no start time", METRICS.replace("process_start_time_seconds 1000", ""), 1_600_000],
  ["a clock that is behind", METRICS, 999_000],
])("%s says nothing", (_title, text, nowMs) => {
  expect(trafficFromMetrics(text, nowMs)).toBeUndefined();
});
