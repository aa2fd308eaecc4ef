import { describe, expect, test } from "vitest";
import {
  escapeMarkdown,
  markdownMarker,
  printPlanMarkdown,
} from "../../../src/cli/print/print-plan-markdown.ts";
import type { PlanDocument } from "../../../src/protocol/plan-document.ts";
import {
  fleetFromToml,
  observedFleet,
  observedNeuron,
  plan,
} from "../../controller/observed-fleet-builders.ts";

function smallPlan(): PlanDocument {
  const fleet = fleetFromToml(
    '[[models]]\nid = "m"\nreplicas = 1\nvram_mb = 4000\n[[models]]\nid = "big"\nreplicas = 1\nvram_mb = 99_000\n',
    ["a"],
  );
  return plan(fleet, observedFleet(observedNeuron("a", { devices: [8000] })));
}

/** The same plan with many rows, reasons and troubles. */
function largePlan(rows: number, troubles: number): PlanDocument {
  const small = smallPlan();
  const [change] = small.changes;
  const [unplaced] = small.unplaced;
  if (change === undefined || unplaced === undefined) throw new Error("nothing to multiply");
  return {
    ...small,
    changes: Array.from({ length: rows }, (_unused, index) => ({
      ...change,
      id: `load m${index}@a`,
      model_id: `m${index}`,
    })),
    unplaced: Array.from({ length: troubles }, (_unused, index) => ({
      ...unplaced,
      model_id: `big${index}`,
    })),
  };
}

test("the marker is the first line, the verdict the second, and it is the same for every plan of the fleet", () => {
  const [first, , second] = printPlanMarkdown(smallPlan()).split("\n");
  expect(first).toBe("<!-- cortex-plan:home -->");
  expect(first).toBe(markdownMarker("home"));
  expect(second).toBe("### Plan for home: 1 change, 1 copy without a place");
});

describe("length", () => {
  test.each([
    [10_000, 0],
    [10_000, 40],
    [200, 3_000],
    [0, 10_000],
  ])("%i changes and %i unplaced models stay below the limit, and the end arrives", (rows, troubles) => {
    const document = largePlan(rows, troubles);
    const text = printPlanMarkdown(document);
    expect(text.length).toBeLessThanOrEqual(60_000);
    expect(text.length).toBeGreaterThan(20_000);
    expect(text).toContain(`plan ${document.digest.slice(0, 12)}`);
    expect(text.trimEnd().endsWith("</sub>")).toBe(true);
    expect(text.split("<details>")).toHaveLength(text.split("</details>").length);
  });

  test.each([40, 2000])("a branch that spares %i changes says so and stays below the limit", (count) => {
    const small = smallPlan();
    const avoided = Array.from({ length: count }, (_unused, index) => ({
      id: `load m${index}@a`,
      detail: "declared and not loaded",
    }));
    const text = printPlanMarkdown({
      ...small,
      comparison: { revision: small.revision, fleet_digest: "0".repeat(64), avoided, newly_unplaced: [] },
    });
    expect(text.length).toBeLessThanOrEqual(60_000);
    expect(text).toContain(`and ${count + 1 - 12} more`);
    expect(text).toContain(count === 40 ? "no longer needed: load m39&#64;" : 'section "This branch"');
  });

  test("what was left out is said and counted", () => {
    const text = printPlanMarkdown(largePlan(10_000, 2));
    const shown = text.split("\n").filter((line) => line.startsWith("| + load")).length;
    expect(text).toContain(`${10_000 - shown} more changes`);
    expect(text).toContain('section "Order"');
    expect(text).toContain("big1: 1 missing");
  });

  test("nothing is said to be missing when nothing is", () => {
    expect(printPlanMarkdown(smallPlan())).not.toContain("Left out");
  });
});

test("names cannot mention people, break the table or open a tag", () => {
  const name = "@everyone|<script>`x`[y](z)#1";
  // An entity alone is decoded before mentions are looked for; the zero-width space is what keeps them away.
  expect(escapeMarkdown(name)).toBe(
    "&#64;&#8203;everyone&#124;&#60;script&#62;&#96;x&#96;&#91;y&#93;(z)&#35;&#8203;1",
  );
  expect(escapeMarkdown("!7 ~8 $9 https://x.y www.x.y _a_ Q4_K_M")).toBe(
    "&#33;&#8203;7 &#126;&#8203;8 &#36;&#8203;9 https&#58;//x.y www&#46;x.y &#95;a&#95; Q4_K_M",
  );
  const small = smallPlan();
  const text = printPlanMarkdown({
    ...small,
    changes: small.changes.map((change) => ({ ...change, model_id: name })),
  });
  expect(text).not.toContain("@everyone");
  expect(text).not.toContain("<script>");
  const rows = text.split("\n").filter((line) => line.startsWith("| + load"));
  expect(rows.map((line) => line.split("|").length)).toEqual([8]);
});
