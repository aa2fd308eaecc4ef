import { describe, expect, test } from "vitest";
import { applyPlan } from "../../../src/controller/apply/io/apply-plan.ts";
import { observeFleet } from "../../../src/controller/observe/io/observe-fleet.ts";
import type { Fleet } from "../../../src/fleet/schema/fleet-schema.ts";
import type { PlanDocument } from "../../../src/protocol/plan-document.ts";
import { bench, model, stepsOf } from "./apply-bench.ts";
import { fleetFromToml, plan, residentModel, rowsOf } from "../observed-fleet-builders.ts";
import { spoil } from "../verify/spoilt-plans.ts";

function fleetNamed(name: string, models: string, endpoint: string): Fleet {
  const declared = fleetFromToml(models, ["a"]);
  return {
    ...declared,
    fleet: { ...declared.fleet, name },
    neurons: declared.neurons.map((block) => ({ ...block, endpoint })),
  };
}

const COMMIT = "0123456789abcdef0123456789abcdef01234567";

describe("applying a plan", () => {
  test("loads, unloads and replaces, and afterwards there is nothing left to do", async () => {
    await using bed = await bench(model("m") + model("n"), {
      a: {
        devices: [16_000],
        residents: [residentModel({ id: "n", vramMb: 3000 }), residentModel({ id: "stray", vramMb: 100 })],
        generation: 7,
      },
    });
    const result = await bed.apply();
    expect(stepsOf(result.applied)).toEqual(["load m@a", "unload stray@a", "replace n@a"]);
    expect([result.failed, result.not_started, result.interrupted]).toEqual([[], [], false]);
    expect(bed.neuron("a").changes()).toEqual([
      "/models/load m if-match 7",
      "/models/unload stray if-match 9",
      "/models/unload n if-match 11",
      "/models/load n if-match 13",
    ]);
    expect(rowsOf(await bed.replan())).toEqual([]);
  });

  test("a load says which fleet and which revision asked for it, and whether its files were committed", async () => {
    await using bed = await bench(model("m"), { a: { devices: [8000] } });
    await bed.apply();
    const origin = { kind: "revision", ref: COMMIT, fleet: "home" };
    expect(bed.neuron("a").models[0]?.origin).toEqual(origin);
    const dirty = spoil(bed.plan, ({ revision }) => void (revision.dirty = true));
    bed.neuron("a").models = [];
    await applyPlan(dirty, { clock: bed.clock, onEvent: () => undefined });
    expect(bed.neuron("a").models[0]?.origin).toEqual({ ...origin, uncommitted: true });
  });

  test("two fleets on one neuron load side by side and leave each other's copies alone, to the last", async () => {
    await using bed = await bench(model("m"), { a: { devices: [16_000] } });
    const neuron = bed.neuron("a");
    const other = fleetNamed("lab", model("n", "protect = true"), neuron.endpoint);
    const planOther = async () => plan(other, await observeFleet(other, { clock: bed.clock }));
    const apply = async (document: PlanDocument) =>
      stepsOf((await applyPlan(document, { clock: bed.clock, onEvent: () => undefined })).applied);
    expect(await apply(bed.plan)).toEqual(["load m@a"]);
    expect(await apply(await planOther())).toEqual(["load n@a"]);
    expect([rowsOf(await bed.replan()), rowsOf(await planOther())]).toEqual([[], []]);
    const without = fleetNamed("lab", model("o").replace("replicas = 1", "replicas = 0"), neuron.endpoint);
    const last = plan(without, await observeFleet(without, { clock: bed.clock }));
    expect(rowsOf(last)).toEqual(["unload n@a [loaded_not_declared]"]);
    expect(last.left_alone).toMatchObject([{ model_id: "m", because: "other_fleet", fleet: "home" }]);
  });

  test("reports start, progress and end of each step", async () => {
    await using bed = await bench(model("m"), { a: { devices: [8000] } });
    await bed.apply();
    expect(bed.events.map((event) => event.type)).toEqual(["step-started", "step-progress", "step-done"]);
  });

  test("a copy leaves only once its successor is ready", async () => {
    await using bed = await bench(model("m"), {
      a: { devices: [8000], residents: [residentModel({ id: "m", vramMb: 4000 })], extra: "drain = true" },
      b: { devices: [8000] },
    });
    bed
      .neuron("b")
      .script("m", { jobError: { code: "load_failed", message: "the file is broken", next: "mend it" } });
    const result = await bed.apply();
    expect(result.failed).toEqual([
      { step: "load m@b", error: { code: "load_failed", message: "the file is broken", next: "mend it" } },
    ]);
    expect(result.not_started).toEqual([
      { step: "unload m@a", reason: 'it waits for "load m@b", which failed' },
    ]);
    expect(bed.neuron("a").changes()).toEqual([]);
  });

  test("a load that fails for good holds up only what depends on it, at this apply and at the next", async () => {
    await using bed = await bench(
      model("m", 'pinned_on = ["a"]') + model("n", 'pinned_on = ["a"]') + model("o", 'pinned_on = ["b"]'),
      {
        a: { devices: [16_000], residents: [residentModel({ id: "stray", vramMb: 100 })] },
        b: { devices: [8000] },
      },
    );
    const broken = { code: "source_not_found", message: "no such file", next: "put it there" };
    bed.neuron("a").script("m", { jobError: broken });
    for (const applied of [
      ["load n@a", "load o@b", "unload stray@a"],
      ["load n@a", "load o@b", "unload stray@a"],
    ]) {
      const result = await bed.apply();
      expect(stepsOf(result.applied).toSorted()).toEqual(applied);
      expect(result.failed.map(({ step, error }) => [step, error.code])).toEqual([
        ["load m@a", "source_not_found"],
      ]);
      expect(result.not_started).toEqual([]);
    }
    expect(rowsOf(await bed.replan())).toEqual(["load m@a [declared_not_loaded]"]);
  });

  test("a neuron that changed is left alone from then on, with the step that found out", async () => {
    await using bed = await bench(model("m") + model("n"), {
      a: { devices: [16_000], residents: [residentModel({ id: "stray", vramMb: 100 })] },
    });
    bed.neuron("a").meddle([residentModel({ id: "stray", vramMb: 100, origin: "manual" })]);
    const result = await bed.apply();
    expect(result.failed.map(({ step, error }) => [step, error.code, error.message])).toEqual([
      ["load m@a", "stale_generation", "a changed since the plan was made: stray was loaded anew (manual)"],
    ]);
    const reason = 'nothing more is done on a since "load m@a" failed there';
    expect(result.not_started).toEqual([
      { step: "load n@a", reason },
      { step: "unload stray@a", reason },
    ]);
  });

  test("what clients had loaded since the plan makes it stale only where a row needs that memory", async () => {
    await using bed = await bench(model("m"), { a: { devices: [16_000] }, b: { devices: [5000] } });
    bed.neuron("a").meddle([residentModel({ id: "guest", vramMb: 12_000, origin: "request" })]);
    const fits = await bed.apply();
    expect([stepsOf(fits.applied), fits.failed]).toEqual([["load m@a"], []]);
    expect(bed.neuron("a").models.map(({ id }) => id)).toEqual(["guest", "m"]);

    await using tight = await bench(model("m"), { a: { devices: [16_000] } });
    tight.neuron("a").meddle([residentModel({ id: "guest", vramMb: 12_001, origin: "request" })]);
    expect((await tight.apply()).failed.map(({ error }) => [error.code, error.message])).toEqual([
      [
        "stale_generation",
        'a changed since the plan was made: guest is loaded and leaves 3999 MB for "load m@a", which takes 4000 MB',
      ],
    ]);
    expect(tight.neuron("a").changes()).toEqual([]);
  });

  test("a neuron that changes between the look and the change is looked at again", async () => {
    await using bed = await bench(model("m"), { a: { devices: [16_000] } });
    const neuron = bed.neuron("a");
    neuron.meddleAtNextChange(() => [residentModel({ id: "guest", vramMb: 100, origin: "request" })]);
    const result = await bed.apply();
    expect([stepsOf(result.applied), result.failed]).toEqual([["load m@a"], []]);
    expect(neuron.changes()).toEqual(["/models/load m if-match 0", "/models/load m if-match 1"]);
    await using other = await bench(model("m"), { a: { devices: [16_000] } });
    other.neuron("a").meddleAtNextChange(() => [residentModel({ id: "m", vramMb: 100, origin: "manual" })]);
    expect((await other.apply()).failed.map(({ error }) => error.message)).toEqual([
      "a changed since the plan was made: m is loaded (manual)",
    ]);
  });

  test("a busy neuron is asked again", async () => {
    await using bed = await bench(model("m"), { a: { devices: [8000] } });
    bed.neuron("a").script("m", { busyTimes: 3 });
    const result = await bed.apply();
    expect(stepsOf(result.applied)).toEqual(["load m@a"]);
    expect(
      bed.events.filter((event) => event.type === "step-progress" && event.state === "busy"),
    ).toHaveLength(3);
    const told = bed.events.find((event) => event.type === "step-progress" && event.state === "busy");
    expect(told).toHaveProperty("reason");
  });

  test("but not for ever", async () => {
    await using bed = await bench(model("m"), { a: { devices: [8000] } });
    bed.neuron("a").script("m", { busyTimes: 1_000, busyCode: "queue_full" });
    const result = await bed.apply({ busyTimeoutMs: 60_000 });
    expect(result.failed.map(({ error }) => error.code)).toEqual(["queue_full"]);
    expect(bed.clock.monotonicMs()).toBeLessThanOrEqual(60_000);
  });

  test("a copy of unknown size that is larger than what is free fails at once, and says what to write", async () => {
    const unknown = '[[models]]\nid = "m"\nreplicas = 1\n';
    await using bed = await bench(unknown, { a: { devices: [8000] } });
    bed.neuron("a").script("m", { busyTimes: 1_000, busyCode: "insufficient_vram" });
    const [failure] = (await bed.apply()).failed;
    expect(failure?.error.code).toBe("insufficient_vram");
    expect(failure?.error.message).toMatch(/; its size was not known when the plan was made$/);
    expect(failure?.error.next).toContain("write vram_mb into the block of m");
    expect(bed.clock.monotonicMs()).toBe(0);
  });

  test("a replacement whose second half fails says that the model is down", async () => {
    await using bed = await bench(model("m"), {
      a: { devices: [8000], residents: [residentModel({ id: "m", vramMb: 10 })] },
    });
    bed.neuron("a").script("m", { busyTimes: 0 });
    const applying = bed.apply({
      onEvent: (event) => {
        if (event.type === "step-progress" && event.state === "draining")
          bed.neuron("a").script("m", { busyTimes: 1, busyCode: "source_not_found" });
      },
    });
    const result = await applying;
    expect(result.failed[0]?.error.message).toBe(
      "the old copy is unloaded, and the new one is not loaded: m: busy",
    );
  });

  test("what is gone already counts as unloaded", async () => {
    await using bed = await bench(model("m", ""), {
      a: { devices: [8000], residents: [residentModel({ id: "stray", vramMb: 1 })] },
    });
    bed.neuron("a").models = [];
    const result = await bed.apply();
    expect(stepsOf(result.applied)).toEqual(["load m@a", "unload stray@a"]);
  });

  test("a protected model is taken down only with consent", async () => {
    const facts = { a: { devices: [8000], residents: [residentModel({ id: "m", vramMb: 10 })] } };
    await using bed = await bench(model("m", "protect = true"), facts);
    const refused = await bed.apply();
    expect(refused.not_started).toEqual([
      { step: "replace m@a", reason: "protect = true; --allow-protected takes it down" },
    ]);
    expect(bed.neuron("a").changes()).toEqual([]);
    expect(stepsOf((await bed.apply({ allowProtected: true })).applied)).toEqual(["replace m@a"]);
  });

  test("a plan that was edited is refused before anything is sent", async () => {
    await using bed = await bench(model("m"), { a: { devices: [8000] } });
    const [change] = bed.plan.changes;
    if (change === undefined) throw new Error("nothing to edit");
    const edited = { ...bed.plan, changes: [{ ...change, device_vram_mb: [9000], vram_after_mb: 9000 }] };
    await expect(applyPlan(edited, { clock: bed.clock, onEvent: () => undefined })).rejects.toMatchObject({
      code: "plan_refused",
      message: expect.stringContaining("was changed after it was written") as string,
    });
    expect(bed.neuron("a").changes()).toEqual([]);
  });

  test("a plan that takes away most of what is loaded needs to be told so", async () => {
    const strays = ["x", "y", "z"].map((id) => residentModel({ id, vramMb: 10 }));
    await using bed = await bench(model("m"), { a: { devices: [8000], residents: strays } });
    await expect(bed.apply()).rejects.toMatchObject({
      code: "mass_unload",
      message: "the plan takes away 3 of 3 loaded copies (100 %), and 50 % is the limit",
      next: "if that is meant: --allow-mass-unload 3",
    });
    expect(bed.neuron("a").changes()).toEqual([]);
    // A limit that is raised for once says nothing of this plan.
    await expect(bed.apply({ maxUnloadPercent: 100 })).rejects.toMatchObject({ code: "mass_unload" });
    expect(stepsOf((await bed.apply({ allowMassUnload: 3 })).applied)).toHaveLength(4);
  });

  test("a lower limit for once counts", async () => {
    const residents = ["x", "y", "m"].map((id) => residentModel({ id, vramMb: 10 }));
    await using bed = await bench(model("m") + "[gitops]\nmax_unload_percent = 90\n", {
      a: { devices: [8000], residents },
    });
    await expect(bed.apply({ maxUnloadPercent: 10 })).rejects.toMatchObject({
      code: "mass_unload",
      message: expect.stringContaining("10 % is the limit") as string,
    });
    expect((await bed.apply()).failed).toEqual([]);
  });

  test("one copy is no mass, unless the files say that nothing may go", async () => {
    const facts = { a: { devices: [8000], residents: [residentModel({ id: "stray", vramMb: 10 })] } };
    await using bed = await bench(model("m"), facts);
    await using strict = await bench(`${model("m")}[gitops]\nmax_unload_percent = 0\n`, facts);
    expect(stepsOf((await bed.apply()).applied)).toEqual(["load m@a", "unload stray@a"]);
    await expect(strict.apply()).rejects.toMatchObject({ code: "mass_unload" });
  });

  test("stopping finishes what runs and starts nothing more", async () => {
    await using bed = await bench(model("m") + model("n"), { a: { devices: [16_000] } });
    bed.neuron("a").script("m", { held: true });
    const stop = new AbortController();
    const applying = bed.apply({ signal: stop.signal });
    await bed.neuron("a").called("/jobs/job-1");
    stop.abort();
    bed.neuron("a").release();
    const result = await applying;
    expect(stepsOf(result.applied)).toEqual(["load m@a"]);
    expect(result.not_started).toEqual([{ step: "load n@a", reason: "the apply was stopped" }]);
    expect(result.interrupted).toBe(true);
    expect(rowsOf(await bed.replan())).toEqual(["load n@a [declared_not_loaded]"]);
  });

  test("stopping ends the wait for a busy neuron", async () => {
    await using bed = await bench(model("m"), { a: { devices: [16_000] } });
    bed.neuron("a").script("m", { busyTimes: 1_000 });
    const stop = new AbortController();
    const result = await bed.apply({
      signal: stop.signal,
      busyTimeoutMs: 1e9,
      onEvent: (event) => {
        if (event.type === "step-progress" && event.state === "busy") stop.abort();
      },
    });
    expect(result.not_started).toEqual([
      { step: "load m@a", reason: "the apply was stopped while the neuron was busy" },
    ]);
  });

  test("at most as many neurons as allowed are changed at once", async () => {
    const facts = Object.fromEntries(["a", "b", "c", "d"].map((name) => [name, { devices: [8000] }]));
    await using bed = await bench(
      ["a", "b", "c", "d"].map((name) => model(`m-${name}`, `pinned_on = ["${name}"]`)).join(""),
      facts,
    );
    let running = 0;
    let most = 0;
    const result = await bed.apply({
      parallelism: 2,
      onEvent: (event) => {
        if (event.type === "step-started") running += 1;
        if (event.type === "step-done") running -= 1;
        most = Math.max(most, running);
      },
    });
    expect([most, result.applied.length]).toEqual([2, 4]);
  });

  test("applying the same plan twice changes nothing the second time", async () => {
    await using bed = await bench(model("m"), { a: { devices: [8000] } });
    await bed.apply();
    const again = await bed.apply();
    expect(stepsOf(again.applied)).toEqual(["load m@a"]);
    expect(bed.neuron("a").models.map(({ id }) => id)).toEqual(["m"]);
  });

  test("a plan that was cut off goes on where it stopped, although its own steps moved the neuron on", async () => {
    await using bed = await bench(model("m") + model("n"), {
      a: { devices: [16_000], residents: [residentModel({ id: "stray", vramMb: 100 })], generation: 3 },
    });
    bed.neuron("a").script("n", { busyTimes: 1, busyCode: "source_not_found" });
    const first = await bed.apply();
    expect([stepsOf(first.applied), first.failed.length]).toEqual([["load m@a", "unload stray@a"], 1]);
    const second = await bed.apply();
    expect(stepsOf(second.applied)).toEqual(["load m@a", "load n@a", "unload stray@a"]);
    expect(rowsOf(await bed.replan())).toEqual([]);
  });

  test("a device that shrank since the plan is a fact that moved", async () => {
    await using bed = await bench(model("m"), { a: { devices: [16_000] } });
    const shrunk = spoil(bed.plan, ({ neurons }) => {
      for (const neuron of neurons) {
        neuron.observation_digest = "another";
        for (const device of neuron.devices) device.vram_total_mb = 24_000;
      }
    });
    const result = await applyPlan(shrunk, { clock: bed.clock, onEvent: () => undefined });
    expect(result.failed.map(({ error }) => [error.code, error.message])).toEqual([
      ["stale_generation", "a changed since the plan was made: device 0 has 16000 MB, not 24000 MB"],
    ]);
    expect(bed.neuron("a").changes()).toEqual([]);
  });

  test("a plan with problems is refused before anything is sent", async () => {
    await using bed = await bench(model("m"), { a: { devices: [16_000] } });
    const unsound = { ...bed.plan, errored: true, problems: ["load m@a would bring device 0 of a too far"] };
    await expect(applyPlan(unsound, { clock: bed.clock, onEvent: () => undefined })).rejects.toMatchObject({
      code: "plan_refused",
    });
    expect(bed.neuron("a").changes()).toEqual([]);
  });

  test("the end of a step says what had been predicted", async () => {
    await using bed = await bench(model("m"), { a: { devices: [8000] } });
    await bed.apply();
    expect(bed.events.at(-1)).toMatchObject({ type: "step-done", predicted_secs: 11 });
  });
});
