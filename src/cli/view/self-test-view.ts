import type { SelfTestReport } from "../../protocol/demo-events.ts";
import { paint } from "../print/paint.ts";
import type { View } from "./view.ts";

/** What the machine is, what was measured, and what of it is as it should be. */
export const selfTestView = (report: SelfTestReport): View<SelfTestReport> => ({
  json: report,
  human: ({ colour }) => {
    const { memory } = report;
    const devices = report.devices.map(
      ({ index, kind, name, vram_total_mb }) => `device ${index}    ${name} (${kind}, ${vram_total_mb} MiB)`,
    );
    const speeds = report.throughput.map(
      ({ streams, tokens_per_second: speed, first_token_ms_median: first }) =>
        `${String(streams).padStart(2)} streams  ${speed.toFixed(1)} tokens/s, first token after ${first.toFixed(0)} ms (median)`,
    );
    const checks = report.checks.map(
      ({ name, ok, detail }) =>
        `${paint(ok ? "ok" : "no", ok ? "green" : "red", colour)}  ${name}: ${detail}`,
    );
    return [
      ...devices,
      `back end    ${report.backend}`,
      `load        ${report.load_secs.toFixed(2)} s`,
      `memory      ${memory.before_mb} MiB used before, ${memory.loaded_mb} with the model, ${memory.after_mb} after; the model: ${memory.estimated_mb} estimated, ${memory.measured_mb} measured`,
      ...speeds,
      `a client that leaves frees its slot after ${report.cancellation_ms.toFixed(0)} ms`,
      "",
      ...checks,
      "",
      report.ok
        ? "This machine can serve."
        : "Not all is as it should be; `cortex neuron` says more in its log.",
    ].join("\n");
  },
});
