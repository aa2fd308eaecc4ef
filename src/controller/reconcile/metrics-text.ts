import type { LoopState } from "./loop.ts";

/** For Prometheus, in its text format. */
export function metricsText({ conditions, rounds, failures }: LoopState, fleet: string): string {
  const label = `fleet="${fleet}"`;
  const lines = [
    "# HELP cortex_reconcile_condition Conditions of the loop; 1 where the status is True.",
    "# TYPE cortex_reconcile_condition gauge",
    ...Object.entries(conditions).map(
      ([type, { status, reason }]) =>
        `cortex_reconcile_condition{${label},type="${type}",reason="${reason}"} ${status === "True" ? 1 : 0}`,
    ),
    "# HELP cortex_reconcile_rounds_total Looks at the repository and the fleet.",
    "# TYPE cortex_reconcile_rounds_total counter",
    `cortex_reconcile_rounds_total{${label}} ${rounds}`,
    "# HELP cortex_reconcile_failures_in_a_row Looks since the last one that succeeded or was refused for good.",
    "# TYPE cortex_reconcile_failures_in_a_row gauge",
    `cortex_reconcile_failures_in_a_row{${label}} ${failures}`,
  ];
  return `${lines.join("\n")}\n`;
}
