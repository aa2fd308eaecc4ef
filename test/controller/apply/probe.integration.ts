import { describe, expect, test } from "vitest";
import { bench, model, stepsOf, type Bench } from "./apply-bench.ts";
import { residentModel, rowsOf } from "../observed-fleet-builders.ts";

const PROBE = 'probe = { prompt = "The capital of France?", expect = "paris", within_secs = 5 }';

const said = (content: string): unknown => ({
  choices: [{ message: { role: "assistant", content }, finish_reason: "stop" }],
});

const questionsOf = (bed: Bench): unknown[] =>
  bed
    .neuron("a")
    .calls.filter(({ path }) => path.startsWith("/v1/"))
    .map(({ path, body }) => [path, (body as { model: string }).model]);

describe("a model that declares a probe", () => {
  test("is asked once it is ready, and its step is done when it answers as declared", async () => {
    await using bed = await bench(model("m", PROBE) + model("n"), { a: { devices: [16_000] } });
    bed.neuron("a").script("m", { says: [said("Paris, of course")] });
    const result = await bed.apply();
    expect(stepsOf(result.applied)).toEqual(["load m@a", "load n@a"]);
    expect(questionsOf(bed)).toEqual([["/v1/chat/completions", "m"]]);
    expect(bed.events.flatMap((event) => (event.type === "step-progress" ? [event.state] : []))).toContain(
      "probing",
    );
  });

  test("that is only busy is asked again", async () => {
    await using bed = await bench(model("m", PROBE), { a: { devices: [16_000] } });
    bed.neuron("a").script("m", { says: [503, 503, said("Paris")] });
    expect(stepsOf((await bed.apply()).applied)).toEqual(["load m@a"]);
    expect(questionsOf(bed)).toHaveLength(3);
  });

  test("and answers otherwise is unloaded again, its neighbours are loaded, and the next plan tries once more", async () => {
    await using bed = await bench(model("m", PROBE) + model("n"), { a: { devices: [16_000] } });
    bed.neuron("a").script("m", { says: [said("London")] });
    const result = await bed.apply();
    expect(stepsOf(result.applied)).toEqual(["load n@a"]);
    expect(result.failed.map(({ step, error }) => [step, error.code, error.message])).toEqual([
      [
        "load m@a",
        "probe_failed",
        'm on a: its answer of 6 characters has no "paris" in it, as `probe.expect` declares; it was unloaded again',
      ],
    ]);
    expect(bed.neuron("a").models.map(({ id }) => id)).toEqual(["n"]);
    expect(rowsOf(await bed.replan())).toEqual(["load m@a [declared_not_loaded]"]);
  });

  test("that stays busy for all of its time has failed", async () => {
    await using bed = await bench(model("m", PROBE), { a: { devices: [16_000] } });
    bed.neuron("a").script("m", { says: [503] });
    const { failed } = await bed.apply();
    expect(failed.map(({ error }) => error.code)).toEqual(["probe_failed"]);
    expect(questionsOf(bed).length).toBeGreaterThan(5);
    expect(bed.neuron("a").models).toEqual([]);
  });

  test("the copy that it is to replace stays where the fresh one does not answer as declared", async () => {
    await using bed = await bench(model("m", PROBE), {
      a: { devices: [8000] },
      b: { devices: [8000], residents: [residentModel({ id: "m", vramMb: 4000 })], extra: "drain = true" },
    });
    bed.neuron("a").script("m", { says: [said("")] });
    const result = await bed.apply();
    expect(result.failed.map(({ step }) => step)).toEqual(["load m@a"]);
    expect(result.not_started).toEqual([
      { step: "unload m@b", reason: 'it waits for "load m@a", which failed' },
    ]);
    expect([bed.neuron("a").models, bed.neuron("b").models.map(({ id }) => id)]).toEqual([[], ["m"]]);
  });

  test("a copy whose unload is refused is told to be there still", async () => {
    await using bed = await bench(model("m", PROBE), { a: { devices: [16_000] } });
    const neuron = bed.neuron("a");
    neuron.script("m", {
      says: [said("London")],
      unloadError: { code: "model_busy", message: "busy", next: "wait" },
    });
    const { failed } = await bed.apply();
    expect(failed[0]?.error.message).toMatch(
      /it could not be unloaded \(busy\) and may be asked by clients$/,
    );
    expect(neuron.models.map(({ id }) => id)).toEqual(["m"]);
  });
});
