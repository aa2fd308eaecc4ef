import { describe, expect, test } from "vitest";
import { createHoldReader } from "../../../src/controller/reconcile/io/read-hold.ts";
import {
  lookForSuspension,
  resumeLoops,
  suspendLoops,
} from "../../../src/controller/reconcile/io/suspension-ref.ts";
import { systemClock } from "../../../src/platform/system-clock.ts";
import { git } from "../../support/fleet/fleet-on-disk.ts";
import { model } from "../apply/apply-bench.ts";
import { fleetFromToml } from "../observed-fleet-builders.ts";
import { clockAt, noMemory, operator, roundBench } from "./round-bench.ts";

const window = (line: string): string => `[[gitops.windows]]\n${line}\n`;

describe("a round of the loop", () => {
  test("applies what the branch declares, and calls it true only when all of it has a place", async () => {
    await using bed = await roundBench(model("m") + model("big").replace("4000", "90000"));
    const first = await bed.round();
    expect(first).toMatchObject({ kind: "failed", reason: "Incomplete" });
    expect([bed.neuron.models.map(({ id }) => id), bed.memory.lastTrue]).toEqual([["m"], undefined]);
    expect(await bed.round()).toMatchObject({ kind: "failed", reason: "Incomplete" });
    expect(bed.memory.lastTrue).toBeUndefined();
    const commit = await bed.push(model("m"));
    expect(await bed.round()).toMatchObject({ kind: "in-sync", commit });
    expect(bed.memory).toMatchObject({ lastTrue: commit, lastApplied: commit });
  });

  test("a loop that begins anew takes what a part of which was applied for nothing that the fleet could drift from", async () => {
    await using bed = await roundBench(model("m") + model("big").replace("4000", "90000"));
    await bed.round();
    bed.neuron.meddle([]);
    expect(await bed.round({}, noMemory())).toMatchObject({ kind: "failed", reason: "Incomplete" });
    expect(bed.neuron.models.map(({ id }) => id)).toEqual(["m"]);
  });

  test("what somebody unloads is drift, and healed when it is seen twice", async () => {
    await using bed = await roundBench(model("m"));
    expect(await bed.round()).toMatchObject({ kind: "applied" });
    bed.neuron.meddle([]);
    expect(await bed.round()).toMatchObject({ kind: "drift-suspected" });
    expect(bed.neuron.models).toEqual([]);
    expect(await bed.round()).toMatchObject({ kind: "applied" });
  });

  test("an unreachable neuron: nothing is said to be missing there, and nothing is done", async () => {
    await using bed = await roundBench(model("m"));
    await bed.round();
    const calls = bed.neuron.changes().length;
    bed.neuron.answer = { status: 502, body: "bad gateway" };
    expect(await bed.round()).toMatchObject({ kind: "failed", reason: "FleetUnavailable" });
    bed.neuron.answer = undefined;
    expect(await bed.round()).toMatchObject({ kind: "in-sync" });
    expect(bed.neuron.changes()).toHaveLength(calls);
  });

  test("the git host is down: nothing is done, and it is said", async () => {
    await using bed = await roundBench(model("m"));
    await bed.round();
    await bed.push("");
    await bed.loseHost();
    expect(await bed.round()).toMatchObject({ kind: "failed", reason: "FetchFailed", commit: null });
    expect(bed.neuron.models.map(({ id }) => id)).toEqual(["m"]);
  });
});

describe("a suspended loop", () => {
  const suspended = { path: "", fleet: "test" };

  test("looks, says who suspended it, why and until when, changes nothing, and goes on when that is over", async () => {
    await using bed = await roundBench(model("m"));
    const location = { ...suspended, path: bed.place };
    const clock = clockAt("2026-07-01T10:00:00Z");
    const options = { reason: "new cards", forMs: 3_600_000, operator, clock };
    const suspension = await suspendLoops(location, bed.environment, options);
    const outcome = await bed.round({ clock });
    expect(outcome).toMatchObject({ kind: "held-back", reason: "Suspended", in_sync: false });
    expect(outcome.message).toMatch(
      /^[0-9a-f]{8} waits: 1 to load; suspended by ann@machine until 2026-07-01T11:00:00.\d+Z: new cards$/,
    );
    expect(outcome).toMatchObject({ until_ms: Date.parse(suspension.until ?? "") });
    expect(bed.neuron.changes()).toEqual([]);
    expect(await bed.round({ clock: clockAt("2026-07-01T11:00:01Z") })).toMatchObject({ kind: "applied" });
  });

  test("without an end stays so until somebody resumes; that the fleet is as declared is said all the same", async () => {
    await using bed = await roundBench(model("m"));
    const location = { ...suspended, path: bed.place };
    await bed.round();
    await suspendLoops(location, bed.environment, {
      reason: "incident",
      forMs: undefined,
      operator,
      clock: systemClock,
    });
    expect(await bed.round()).toMatchObject({ kind: "held-back", in_sync: true, until_ms: null });
    expect(await resumeLoops(location, bed.environment)).toBe(true);
    expect(await resumeLoops(location, bed.environment)).toBe(false);
    expect(await bed.round()).toMatchObject({ kind: "in-sync" });
  });

  test("people who look at the fleet are told, and that nobody can tell where the git host is down", async () => {
    await using bed = await roundBench(model("m"));
    const fleet = fleetFromToml(model("m"), ["a"]);
    const held = { path: bed.place, fleet: { ...fleet, fleet: { ...fleet.fleet, name: "test" } } };
    const look = () => createHoldReader(held, { environment: bed.environment, clock: systemClock })();
    expect(await look()).toEqual({ hold: null, problem: null });
    const location = { ...suspended, path: bed.place };
    await suspendLoops(location, bed.environment, {
      reason: "new cards",
      forMs: undefined,
      operator,
      clock: systemClock,
    });
    expect(await look()).toEqual({
      hold: "suspended by ann@machine until somebody resumes: new cards",
      problem: null,
    });
    await bed.loseHost();
    const { hold, problem } = await look();
    expect([hold, problem]).toEqual([null, expect.stringMatching(/./)]);
  });

  test("the last word counts, and what a later version of cortex wrote suspends too", async () => {
    await using bed = await roundBench(model("m"));
    const location = { ...suspended, path: bed.place };
    const say = (reason: string) =>
      suspendLoops(location, bed.environment, { reason, forMs: undefined, operator, clock: systemClock });
    await say("one");
    await say("two");
    expect((await lookForSuspension(location, bed.environment, 0))?.message).toMatch(/: two$/);
    const tree = await git(bed.bare, "hash-object", "-w", "-t", "tree", "/dev/null");
    const commit = await git(bed.bare, "commit-tree", tree, "-m", 'words\n\n{"version": 2}');
    await git(bed.bare, "update-ref", "refs/cortex/suspended/test", commit);
    expect(await bed.round()).toMatchObject({ kind: "held-back", reason: "Suspended", until_ms: null });
  });
});

describe("sync windows", () => {
  const nights = window(
    'kind = "allow"\nschedule = "0 22 * * *"\nduration_secs = 28800\ntimezone = "Europe/Berlin"',
  );

  test("changes wait for the window, which is by the clock of its own zone; a fleet as declared waits for nothing", async () => {
    await using bed = await roundBench(nights + model("m"));
    // 22:00 in Berlin is 20:00 UTC in summer.
    const noon = await bed.round({ clock: clockAt("2026-07-01T10:00:00Z") });
    expect(noon).toMatchObject({
      kind: "held-back",
      reason: "OutsideWindow",
      until_ms: Date.parse("2026-07-01T20:00:00Z"),
    });
    expect(noon.message).toContain(
      "no window of [[gitops.windows]] allows changes now, until 2026-07-01T20:00:00.000Z at least",
    );
    expect(bed.neuron.changes()).toEqual([]);
    expect(await bed.round({ clock: clockAt("2026-07-01T20:00:00Z") })).toMatchObject({ kind: "applied" });
    expect(await bed.round({ clock: clockAt("2026-07-02T10:00:00Z") })).toMatchObject({ kind: "in-sync" });
  });

  test("a window that denies is stronger than one that allows", async () => {
    const never = window('kind = "deny"\nschedule = "0 0 24 12 *"\nduration_secs = 259200');
    await using bed = await roundBench(nights + never + model("m"));
    const clock = clockAt("2026-12-24T22:30:00Z");
    const outcome = await bed.round({ clock });
    expect(outcome.message).toContain(
      'the window "0 0 24 12 *" (UTC) of [[gitops.windows]] denies changes now',
    );
    expect(await bed.round({ clock: clockAt("2026-12-23T22:30:00Z") })).toMatchObject({ kind: "applied" });
  });
});
