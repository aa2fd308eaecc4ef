import { describe, expect, test } from "vitest";
import type { ApplyLease } from "../../../src/controller/apply/apply-lease.ts";
import { CortexError } from "../../../src/core/errors.ts";
import { bench, model, stepsOf } from "./apply-bench.ts";
import { residentModel } from "../observed-fleet-builders.ts";

/** A lease that a test takes away. */
class TestLease implements ApplyLease {
  readonly #lost = new AbortController();
  readonly epoch: number;
  expired = false;

  constructor(epoch: number) {
    this.epoch = epoch;
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  stillHeld(): boolean {
    return !this.expired;
  }

  lose(): void {
    this.#lost.abort(new CortexError("lock_lost", "ci@builder took the lock over"));
  }
}

const twoLoads = model("m") + model("n");
const oneDevice = { a: { devices: [16_000] } };

describe("an apply under a lease", () => {
  test("every change carries its epoch", async () => {
    await using bed = await bench(model("m"), {
      a: { devices: [8000], residents: [residentModel({ id: "m", vramMb: 3000 })] },
    });
    await bed.apply({ lease: new TestLease(7) });
    const sent = bed.neuron("a").calls.filter(({ path }) => /\/(load|unload)$/.test(path));
    expect(sent.map(({ path, epoch }) => [path, epoch])).toEqual([
      ["/models/unload", "7"],
      ["/models/load", "7"],
    ]);
  });

  test("without one none is sent", async () => {
    await using bed = await bench(model("m"), oneDevice);
    await bed.apply();
    expect(bed.neuron("a").calls.some(({ epoch }) => epoch !== undefined)).toBe(false);
  });

  test("a neuron that has obeyed a newer apply ends this one on every neuron", async () => {
    await using bed = await bench(
      model("m", 'pinned_on = ["a"]') + model("n", 'pinned_on = ["b"]') + model("o", 'pinned_on = ["a"]'),
      { a: { devices: [16_000] }, b: { devices: [16_000] } },
    );
    bed.neuron("a").epoch = 8;
    const result = await bed.apply({ lease: new TestLease(7), parallelism: 1 });
    expect(result.failed.map(({ step, error }) => [step, error.code])).toEqual([["load m@a", "stale_epoch"]]);
    expect(result.superseded).toBe(true);
    const reason = "this apply may not change the fleet any more";
    expect(result.not_started).toEqual([
      { step: "load n@b", reason },
      { step: "load o@a", reason },
    ]);
    expect(bed.neuron("b").changes()).toEqual([]);
  });

  test("what runs is followed to its end when the lease is lost, and nothing more is sent", async () => {
    await using bed = await bench(twoLoads, oneDevice);
    bed.neuron("a").script("m", { held: true });
    const lease = new TestLease(1);
    const applying = bed.apply({ lease });
    await bed.neuron("a").called("/jobs/job-1");
    lease.lose();
    bed.neuron("a").release();
    const result = await applying;
    expect([stepsOf(result.applied), result.superseded, result.interrupted]).toEqual([
      ["load m@a"],
      true,
      false,
    ]);
    expect(result.not_started.map(({ step }) => step)).toEqual(["load n@a"]);
    expect(bed.neuron("a").changes()).toHaveLength(1);
  });

  test("a lease that was lost before sends nothing at all", async () => {
    await using bed = await bench(twoLoads, oneDevice);
    const lease = new TestLease(1);
    lease.lose();
    const result = await bed.apply({ lease });
    expect([result.applied, result.not_started.length, result.superseded]).toEqual([[], 2, true]);
    expect(bed.neuron("a").changes()).toEqual([]);
  });

  test("the second half of a replace is not sent by a holder whose time is over", async () => {
    await using bed = await bench(model("m"), {
      a: { devices: [8000], residents: [residentModel({ id: "m", vramMb: 3000 })] },
    });
    const lease = new TestLease(1);
    const result = await bed.apply({
      lease,
      onEvent: (event) => {
        if (event.type === "step-progress" && event.state === "draining") lease.expired = true;
      },
    });
    expect(result.failed.map(({ error }) => [error.code, error.message])).toEqual([
      [
        "lock_lost",
        "the old copy is unloaded, and the new one is not loaded: the lock is lost, or could not be renewed in time: nothing more is sent",
      ],
    ]);
    expect(bed.neuron("a").changes()).toHaveLength(1);
  });
});

describe("questions between changes", () => {
  test("a neuron is asked once between its steps", async () => {
    await using bed = await bench(twoLoads, oneDevice);
    const asked = bed.neuron("a").calls.length;
    await bed.apply();
    const paths = bed
      .neuron("a")
      .calls.slice(asked)
      .map(({ path }) => path);
    expect(paths).toEqual([
      "/events",
      "/models/load",
      "/jobs/job-1",
      "/events",
      "/models/load",
      "/jobs/job-2",
      "/events",
    ]);
  });

  test("one that tells no events is asked as before there were any", async () => {
    await using bed = await bench(twoLoads, oneDevice);
    bed.neuron("a").knowsEvents = false;
    expect(stepsOf((await bed.apply()).applied)).toEqual(["load m@a", "load n@a"]);
  });
});
