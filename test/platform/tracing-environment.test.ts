import { expect, test } from "vitest";
import { tracingOf } from "../../src/platform/environment.ts";

const AT = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:4318" };

test.each([
  [{}, undefined],
  [AT, { sampleRatio: 1 }],
  [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://127.0.0.1:4318/v1/traces" }, { sampleRatio: 1 }],
  [{ ...AT, OTEL_SDK_DISABLED: "true" }, undefined],
  [{ ...AT, OTEL_TRACES_EXPORTER: "none" }, undefined],
  [{ ...AT, OTEL_TRACES_SAMPLER: "always_off" }, { sampleRatio: 0 }],
  [
    { ...AT, OTEL_TRACES_SAMPLER: "parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG: "0.1" },
    { sampleRatio: 0.1 },
  ],
  [{ ...AT, OTEL_TRACES_SAMPLER: "traceidratio", OTEL_TRACES_SAMPLER_ARG: "many" }, { sampleRatio: 1 }],
])("%o traces %o", (variables, wish) => {
  expect(tracingOf(variables)).toEqual(wish);
});
