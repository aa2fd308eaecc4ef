import { fleetJsonSchemaText } from "../src/fleet/schema/fleet-json-schema.ts";
import { diagnosticsPage, errorsPage } from "./codes-pages.ts";
import { fleetFilesPage } from "./fleet-files-page.ts";
import { planJsonSchemaText } from "../src/protocol/plan-json-schema.ts";
import { clientsTriedPage } from "./clients-tried-page.ts";
import { grafanaDashboard } from "./grafana-dashboard.ts";
import { metricsPage } from "./metrics-page.ts";
import { conformancePage } from "./conformance-page.ts";
import { planDocumentPage } from "./plan-document-page.ts";

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
