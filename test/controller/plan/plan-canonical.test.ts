import { describe, expect, test } from "vitest";
import { printPlan } from "../../../src/cli/print/print-plan.ts";
import { printPlanMarkdown } from "../../../src/cli/print/print-plan-markdown.ts";
import {
  observedFromSnapshot,
  snapshotDigest,
  snapshotOfFleet,
} from "../../../src/controller/observe/fleet-snapshots.ts";
import { planFleet } from "../../../src/controller/plan/plan-fleet.ts";
import { verifyPlan } from "../../../src/controller/verify/verify-plan.ts";
import { fleetDigest } from "../../../src/fleet/schema/fleet-digest.ts";
import { fleetSnapshotSchema } from "../../../src/protocol/fleet-snapshot.ts";
import { planDocumentSchema } from "../../../src/protocol/plan-document.ts";
import { CANONICAL_CASES, canonicalFiles, canonicalFleet, canonicalObservation } from "../canonical-fleet.ts";

const json = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`;

/**
 * The reviewed renderings of one fleet in eight situations. `cortex plan --config DIR/fleet.toml --against
 * DIR/snapshot.json` shows the same. After a wanted change: vitest --update, then read the difference.
 */
describe.each(Object.entries(CANONICAL_CASES))("%s", (name, situation) => {
  const files = canonicalFiles(situation);
  const fleet = canonicalFleet(files);
  const observed = canonicalObservation(fleet, situation);
  const snapshot = snapshotOfFleet("home", observed);
  const plan = planFleet({
    fleet,
    fleetDigest: fleetDigest(fleet),
    revision: { commit: "3f2a1c9d5b8e47f60a1b2c3d4e5f60718293a4b5", dirty: false, path: "fleet.toml" },
    observed: observedFromSnapshot(snapshot, fleet),
    snapshotDigest: snapshotDigest(snapshot),
    cortexVersion: "0.1.0",
  });
  const fixture = (file: string): string => `../../fixtures/plans/${name}/${file}`;

  test("what goes in", async () => {
    await expect(files).toMatchFileSnapshot(fixture("fleet.toml"));
    await expect(json(snapshot)).toMatchFileSnapshot(fixture("snapshot.json"));
    expect(fleetSnapshotSchema.parse(JSON.parse(json(snapshot)))).toEqual(snapshot);
  });

  test("as text", async () => {
    await expect(`${printPlan(plan, { colour: false })}\n`).toMatchFileSnapshot(fixture("plan.txt"));
  });

  test("as the comment of a pull request", async () => {
    await expect(printPlanMarkdown(plan)).toMatchFileSnapshot(fixture("comment.md"));
  });

  test("as data, which survives being saved", async () => {
    await expect(json(plan)).toMatchFileSnapshot(fixture("plan.json"));
    expect(planDocumentSchema.parse(JSON.parse(json(plan)))).toEqual(plan);
  });

  test("is sound", () => {
    expect(verifyPlan(plan, snapshot).findings).toEqual([]);
  });
});
