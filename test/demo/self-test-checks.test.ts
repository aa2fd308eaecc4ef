import { describe, expect, test } from "vitest";
import { judge, type Measured } from "../../src/demo/self-test-checks.ts";

const card = { index: 0, kind: "cuda", name: "RTX 4090", vram_total_mb: 24_564 };
const good: Measured = {
  devices: [card],
  cudaUnavailableReason: null,
  backend: "cuda",
  memory: {
    device: 0,
    before_mb: 500,
    loaded_mb: 1500,
    after_mb: 500,
    estimated_mb: 980,
    measured_mb: 1000,
  },
  throughput: [{ streams: 1, tokens_per_second: 90, first_token_ms_median: 20 }],
  cancellationMs: 15,
  sideBySide: [true, true],
  sharedDevice: true,
};

const failed = (measured: Measured) =>
  judge(measured)
    .filter(({ ok }) => !ok)
    .map(({ name }) => name);

describe("what a self-test holds against what it measured", () => {
  test("a machine on which everything is as it should be", () => {
    expect(failed(good)).toEqual([]);
  });

  test.each<[string, Partial<Measured>]>([
    ["the cards of this machine are used", { backend: "cpu" }],
    ["the cards of this machine are used", { cudaUnavailableReason: "the driver does not answer" }],
    [
      "the estimate is near the measurement",
      { memory: { ...good.memory, estimated_mb: 10_000, measured_mb: 9000 } },
    ],
    [
      "every number of streams is answered",
      { throughput: [{ streams: 32, tokens_per_second: 0, first_token_ms_median: 0 }] },
    ],
    ["a client that leaves frees its slot", { cancellationMs: 4000 }],
    ["two models answer from one device", { sideBySide: [true, false] }],
    ["two models answer from one device", { sharedDevice: false }],
    ["unloading returns every byte", { memory: { ...good.memory, after_mb: 503 } }],
  ])("%s: %j", (name, wrong) => {
    expect(failed({ ...good, ...wrong })).toEqual([name]);
  });

  test("the memory of a processor is everybody's, and a machine without cards computes on it", () => {
    const memory = { ...good.memory, after_mb: 540 };
    expect(failed({ ...good, devices: [], backend: "cpu", memory })).toEqual([]);
  });
});
