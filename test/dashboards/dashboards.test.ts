import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { DASHBOARD_VARIABLES, grafanaDashboard } from "../../scripts/grafana-dashboard.ts";
import { askedIn, knownSeries, missingIn } from "./asked-series.ts";

const read = (name: string): string =>
  readFileSync(new URL(`../../dashboards/${name}`, import.meta.url), "utf8");

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: Readonly<Record<string, string>>;
}

const { groups } = parse(read("cortex-rules.yml")) as {
  readonly groups: readonly { readonly rules: readonly Rule[] }[];
};
const rules = groups.flatMap((group) => group.rules);

interface Panel {
  readonly title: string;
  readonly type: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

const { panels } = JSON.parse(grafanaDashboard()) as { readonly panels: readonly Panel[] };
const targets = panels.flatMap(({ title, targets: asked = [] }) => asked.map((each) => ({ title, ...each })));
const known = knownSeries();

describe("every series that is asked for exists, with these labels", () => {
  test.each(rules)("alert $alert", ({ expr }) => {
    expect(askedIn(expr)).not.toEqual([]);
    expect(missingIn(expr, known)).toEqual([]);
  });

  test.each(targets)("panel $title: $legendFormat", ({ expr, legendFormat }) => {
    expect(askedIn(expr)).not.toEqual([]);
    expect(missingIn(expr, known)).toEqual([]);
    const grouped = new Set(
      [...expr.matchAll(/by \(([^)]*)\)/g)].flatMap(([, by = ""]) =>
        by.split(",").map((word) => word.trim()),
      ),
    );
    const shown = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = ""]) => label);
    expect(shown.filter((label) => !grouped.has(label))).toEqual([]);
  });

  test.each(Object.values(DASHBOARD_VARIABLES))("variable %s", (query) => {
    const [, name = "", label = ""] = /^label_values\((\w+), (\w+)\)$/.exec(query) ?? [];
    expect(missingIn(`by (${label}) ${name}`, known)).toEqual([]);
  });

  test("and the test would see one that does not", () => {
    expect(missingIn('sum by (model) (rate(cortex_no_such_total{model="m"}[5m]))', known)).toEqual([
      "no series cortex_no_such_total",
    ]);
    expect(missingIn("sum by (key) (cortex_load_waiters)", known)).toEqual([
      "cortex_load_waiters has no label key",
    ]);
    expect(missingIn('cortex_request_duration_seconds_bucket{le="1",node="n"}', known)).toEqual([]);
  });
});

describe("alerts", () => {
  const tested = new Set(
    [...read("cortex-rules.test.yml").matchAll(/alertname: (\w+)/g)].map(([, name]) => name),
  );

  test("each has a case that promtool tries", () => {
    expect(rules.map(({ alert }) => alert).filter((name) => !tested.has(name))).toEqual([]);
  });

  test.each(rules)("$alert says what happens and what to do", ({ labels, annotations }) => {
    expect(labels.severity).toMatch(/^(?:critical|warning|info)$/);
    expect(Object.keys(annotations)).toEqual(["summary", "description"]);
  });

  test("there is one for each thing that an operator must hear of", () => {
    const names = rules.map(({ alert }) => alert);
    expect(names).toEqual(
      expect.arrayContaining([
        "CortexModelCannotServe",
        "CortexModelMissing",
        "CortexNeuronDown",
        "CortexFleetDrifted",
        "CortexBudgetNearlySpent",
        "CortexStreamsCut",
      ]),
    );
  });
});

test("panels lie beside each other and not upon each other", () => {
  const overlaps = panels.flatMap((one, at) =>
    panels.slice(at + 1).filter(({ gridPos: b }) => {
      const a = one.gridPos;
      return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
    }),
  );
  expect(overlaps).toEqual([]);
  expect(panels.filter(({ gridPos: { x, w } }) => x + w > 24)).toEqual([]);
});
