import { gatewaySeries, neuronSeries, reconcileSeries, type ExportedSeries } from "./exported-series.ts";

const row = ({ name, type, labels, help }: ExportedSeries): string =>
  `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(", ")} | ${help.replace(/\.$/, "")} |`;

const table = (series: readonly ExportedSeries[]): string =>
  ["| series | type | labels | what |", "|---|---|---|---|", ...series.map(row)].join("\n");

export const metricsPage = (): string => `# Metrics

Generated from the code by \`npm run docs\`.

In Prometheus's text format. A dashboard, alerts and the scrapes that they need are in [dashboards](../dashboards/README.md). Names and labels are
stable; labels come from fleet files and neurons, never from what a client sends.

## Gateway: \`GET /metrics\` of the metrics port (31314)

${table(gatewaySeries())}

## Neuron: \`GET /metrics\` of its port (13131), with its token

${table(neuronSeries())}

## \`cortex reconcile --listen\`: \`GET /metrics\`

${table(reconcileSeries())}
`;
