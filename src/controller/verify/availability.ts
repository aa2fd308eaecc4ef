import type { PlanChange } from "../../protocol/plan-document.ts";
import { bringsCopyUp, certainBefore, Findings, takesCopyDown } from "./findings.ts";
import type { PlanIndex } from "./plan-index.ts";

/**
 * A model that serves before the plan and is declared resident is never without a copy on the way, unless one of its
 * rows says so. Rows of different neurons overtake each other, so only what waits for each other counts as a
 * guarantee, not the order in which the plan lists them.
 */
export function verifyAvailability(index: PlanIndex): Findings {
  const { plan } = index;
  const found = new Findings();
  const certain = certainBefore(plan);
  for (const model of plan.declared.filter(({ replicas }) => replicas > 0)) {
    const rows = index.rowsOf(model.model_id);
    const serving = index
      .copiesOf(model.model_id)
      .filter(({ copy }) => copy.status === "loaded")
      .map(({ neuron }) => neuron);
    verifyEnds(found, rows);
    if (serving.length === 0 || rows.some(({ downtime }) => downtime !== null)) continue;
    for (const row of rows.filter((change) => takesCopyDown(change))) {
      found.expect(isCovered(row, { rows, serving, certain }), "availability", {
        where: row.id,
        message: "may leave the model without a copy, and no row says so",
      });
    }
  }
  return found;
}

/** A downtime ends if and only if a later row brings a copy up. */
function verifyEnds(found: Findings, rows: readonly PlanChange[]): void {
  for (const [position, row] of rows.entries()) {
    if (row.downtime === null) continue;
    const comesBack = bringsCopyUp(row) || rows.slice(position + 1).some(bringsCopyUp);
    found.expect(row.downtime.ends === comesBack, "availability", {
      where: row.id,
      message: comesBack
        ? "says that no copy comes back, and one does"
        : "says that a copy comes back, and none does",
    });
    found.expect(row.downtime.ends || row.downtime.secs === null, "availability", {
      where: row.id,
      message: "gives the length of a downtime that does not end",
    });
  }
}

interface ModelRows {
  readonly rows: readonly PlanChange[];
  /** Neurons that serve the model before the plan. */
  readonly serving: readonly string[];
  readonly certain: ReadonlyMap<string, ReadonlySet<string>>;
}

/** Some other copy surely serves while this row takes its own down. */
function isCovered(row: PlanChange, model: ModelRows): boolean {
  const { rows, serving, certain } = model;
  const removalOn = (neuron: string): PlanChange | undefined =>
    rows.find((other) => other.neuron === neuron && takesCopyDown(other) && other !== row);
  const arrived = rows.some(
    (other) =>
      other.neuron !== row.neuron && bringsCopyUp(other) && certain.get(row.id)?.has(other.id) === true,
  );
  return (
    arrived ||
    serving.some((neuron) => neuron !== row.neuron && staysUntilRelieved(row, removalOn(neuron), model))
  );
}

/** The copy stays for good, or goes only after this row is over, or only once another copy has come. */
function staysUntilRelieved(
  row: PlanChange,
  removal: PlanChange | undefined,
  { rows, certain }: ModelRows,
): boolean {
  if (removal === undefined) return true;
  const before = certain.get(removal.id);
  return (
    before?.has(row.id) === true ||
    rows.some(
      (other) => bringsCopyUp(other) && other.neuron !== removal.neuron && before?.has(other.id) === true,
    )
  );
}
