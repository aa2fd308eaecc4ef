import { fleetJsonSchemaText } from "../src/fleet/schema/fleet-json-schema.ts";
import { diagnosticsPage, fleetFilesPage } from "./fleet-files-page.ts";
import { planJsonSchemaText } from "../src/protocol/plan-json-schema.ts";
import { clientsTriedPage } from "./clients-tried-page.ts";
import { grafanaDashboard } from "./grafana-dashboard.ts";
import { metricsPage } from "./metrics-page.ts";
import { conformancePage } from "./conformance-page.ts";
import { planDocumentPage } from "./plan-document-page.ts";
import { ERROR_TABLE, errorKind, type ErrorCode } from "../src/core/errors.ts";

/** Files that are generated from the code; test/docs.test.ts fails when one of them differs from what it should be. */
export const REFERENCE_PAGES: Readonly<Record<string, () => string>> = {
  "docs/clients-tried.md": clientsTriedPage,
  "docs/conformance.md": conformancePage,
  "dashboards/cortex.json": grafanaDashboard,
  "docs/errors.md": errorsPage,
  "docs/diagnostics.md": diagnosticsPage,
  "docs/fleet-files.md": fleetFilesPage,
  "docs/metrics.md": metricsPage,
  "docs/plan-document.md": planDocumentPage,
  "schema/fleet.schema.json": fleetJsonSchemaText,
  "schema/plan.schema.json": planJsonSchemaText,
};

function errorsPage(): string {
  const rows = (Object.keys(ERROR_TABLE) as ErrorCode[]).map((code) => {
    const kind = errorKind(code);
    const retry = kind.retryable ? `yes, ${kind.retryAfterSecs ?? 1} s` : "no";
    return `| \`${code}\` | ${kind.httpStatus} | ${kind.exitCode} | ${kind.type} | ${retry} | ${kind.next} |`;
  });
  return `# Errors

Generated from \`src/core/errors.ts\` by \`npm run docs\`.

On the wire every error is \`{"error": {message, type, code, param, next, ...facts}}\`, the OpenAI envelope with a next step.
\`Retry-After\` is sent only where trying again can help. Commands print the same and exit with the code below;
with \`--json\` they print \`{"error": {code, message, next, details}}\` on stdout.

Exit codes: 0 done, 1 failed, 2 changes are pending (\`cortex plan --detailed-exitcode\`), 64 wrong usage,
69 something needed is not available now (try again), 70 a defect of cortex, 130 interrupted.

| code | HTTP | exit | type | retry | what to do next |
|---|---|---|---|---|---|
${rows.join("\n")}
`;
}
