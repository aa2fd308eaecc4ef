import { expect, test } from "vitest";
import { verifyPlan } from "../../../src/controller/verify/verify-plan.ts";
import { planDocumentSchema, type PlanDocument } from "../../../src/protocol/plan-document.ts";
import { redeclared } from "./spoilt-declarations.ts";
import { canonical, replaced, spoil } from "./spoilt-plans.ts";

/** Between them they have every field. */
const TELLING = ["drained", "lost-neuron", "unplaceable", "class-conflict", "swap-parked"];

type Step = string | number;

/** Every value of a document that is no object and no list, by its path. */
function leavesOf(value: unknown, path: readonly Step[] = []): { path: readonly Step[]; value: unknown }[] {
  if (Array.isArray(value)) return value.flatMap((inner, index) => leavesOf(inner, [...path, index]));
  if (typeof value !== "object" || value === null) return [{ path, value }];
  return Object.entries(value).flatMap(([key, inner]) => leavesOf(inner, [...path, key]));
}

function changed(value: unknown): unknown {
  if (typeof value === "number") return value + 1;
  if (typeof value === "boolean") return !value;
  return typeof value === "string" ? `${value}x` : undefined;
}

/** Puts a value where the path leads. */
function put(document: PlanDocument, path: readonly Step[], value: unknown): void {
  const holder = path
    .slice(0, -1)
    .reduce<unknown>((inner, step) => Reflect.get(inner as object, step), document);
  Reflect.set(holder as object, path.at(-1) ?? "", value);
}

const fieldOf = (path: readonly Step[]): string =>
  path
    .map((step) => (typeof step === "number" ? "[]" : `.${step}`))
    .join("")
    .slice(1);

/** What a change of each field is called when the verifier finds nothing wrong with it. */
function unnoticedFields(): string[] {
  const unnoticed = new Set<string>();
  for (const { plan, snapshot } of [...TELLING.map(canonical), replaced(), redeclared()]) {
    for (const { path, value } of leavesOf(plan)) {
      const other = changed(value);
      if (other === undefined || path[0] === "digest") continue;
      const spoilt = spoilOrUndefined(plan, (copy) => put(copy, path, other));
      if (spoilt !== undefined && verifyPlan(spoilt, snapshot).findings.length === 0)
        unnoticed.add(fieldOf(path));
    }
  }
  return [...unnoticed].toSorted();
}

/** Undefined when the result is no plan at all: the schema notices before the verifier does. */
function spoilOrUndefined(
  plan: PlanDocument,
  change: (plan: PlanDocument) => void,
): PlanDocument | undefined {
  const parsed = planDocumentSchema.safeParse(spoil(plan, change));
  return parsed.success ? parsed.data : undefined;
}

/*
 * A list of what the verifier has to believe, so that it grows only on purpose: where the plan comes from, words for
 * people, what stands in the files alone, estimates, and what only another search could confirm.
 */
test("whoever changes a field is found out, but for those that nothing else bears out", () => {
  expect(unnoticedFields()).toMatchInlineSnapshot(`
    [
      "assignments[].reason",
      "assignments[].rule",
      "changes[].detail",
      "changes[].download_bytes",
      "changes[].downtime.reason",
      "changes[].duration.secs",
      "changes[].protected",
      "changes[].spec.vram_mb",
      "comparison.fleet_digest",
      "comparison.revision.dirty",
      "comparison.revision.path",
      "cortex_version",
      "declaration.changes[].consequences[]",
      "declaration.changes[].exposes",
      "declaration.changes[].fields[].from",
      "declaration.changes[].fields[].key",
      "declaration.changes[].fields[].to",
      "declared[].min_device_vram_mb",
      "declared[].min_devices",
      "declared[].model_id",
      "declared[].pinned_on[]",
      "declared[].protect",
      "declared[].residency_priority",
      "declared[].spec_hash",
      "fleet_digest",
      "neurons[].drain",
      "neurons[].endpoint",
      "neurons[].problem",
      "placement.engine",
      "revision.commit",
      "revision.dirty",
      "revision.path",
      "schedule.parallelism",
      "traffic.window_secs",
      "unload_guard.limit_percent",
      "unplaced[].blockers[].because",
      "unplaced[].blockers[].vram_mb",
      "unplaced[].conflict.have_mb",
      "unplaced[].conflict.models[].copies",
      "unplaced[].conflict.models[].vram_mb",
      "unplaced[].conflict.need_mb",
      "unplaced[].hint",
      "unplaced[].need_mb",
      "unplaced[].refusals[].reason",
      "unplaced[].remedies[].from",
      "unplaced[].remedies[].kind",
      "unplaced[].remedies[].line.id",
      "unplaced[].remedies[].line.key",
      "unplaced[].remedies[].line.table",
      "unplaced[].remedies[].neuron",
      "unplaced[].remedies[].text",
      "unplaced[].remedies[].to",
      "unplaced[].remedies[].tried",
      "unplaced[].summary",
      "unplaced[].verdicts[].checks[].check",
      "unplaced[].verdicts[].checks[].detail",
      "unplaced[].verdicts[].checks[].ok",
      "unplaced[].verdicts[].checks[].slack",
      "unplaced[].verdicts[].short_mb",
    ]
  `);
}, 60_000);
