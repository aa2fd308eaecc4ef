import { describe, expect, test } from "vitest";
import { CortexError } from "../../../src/core/errors.ts";
import { DrivenResidency } from "../../support/neuron/residency-builders.ts";

/** A device of 1000 MiB with these models on it, loaded in this order. */
function holding(...memoryMib: readonly (readonly [string, number])[]): DrivenResidency {
  const neuron = new DrivenResidency(1000);
  for (const [modelId, mib] of memoryMib) neuron.resident(modelId, mib);
  return neuron;
}

const errorOf = (neuron: DrivenResidency, jobId: string) => neuron.state.jobs.get(jobId)?.error;

describe("a swap", () => {
  test("verifies the file while the other works on, then makes it leave, then loads", () => {
    const neuron = holding(["a", 800]);
    expect(neuron.swap("s1", { model_id: "b" }, { evict: ["a"] })).toEqual({ kind: "job", jobId: "s1" });
    expect(neuron.effectKinds()).toEqual(["verify-source"]);
    expect(neuron.phase("a")).toBe("loaded");
    neuron.verified("s1", 900);
    expect(neuron.effectKinds()).toEqual(["start-drain-timer", "stop-worker"]);
    expect([neuron.phase("a"), neuron.job("s1")]).toEqual(["stopping", "stopping"]);
    neuron.exited("load-a");
    expect(neuron.effects).toMatchObject([{ kind: "start-worker", instance: "s1" }]);
    neuron.ready("s1", 900);
    expect(neuron.job("s1")).toBe("done");
    expect(neuron.state.jobs.get("s1")).toMatchObject({ kind: "load", evicted: ["a"] });
    expect([...neuron.state.models.keys()]).toEqual(["b"]);
  });

  test("makes no more leave than the load needs, in the order that was given", () => {
    const neuron = holding(["a", 300], ["b", 300], ["c", 300]);
    neuron.swap("s1", { model_id: "d" }, { evict: ["c", "a", "b"] });
    neuron.verified("s1", 650);
    expect(["a", "b", "c"].map((id) => neuron.phase(id))).toEqual(["stopping", "loaded", "stopping"]);
    expect(neuron.state.jobs.get("s1")?.evicted?.toSorted()).toEqual(["a", "c"]);
  });

  test("makes nobody leave where the memory is free", () => {
    const neuron = holding(["a", 300]);
    neuron.swap("s1", { model_id: "b" }, { evict: ["a"] });
    neuron.verified("s1", 700);
    expect(neuron.effectKinds()).toEqual(["start-worker"]);
    expect([neuron.phase("a"), neuron.phase("b")]).toEqual(["loaded", "loading"]);
  });

  test("that could not come of it makes nobody leave, and says so", () => {
    const neuron = holding(["a", 300], ["b", 300]);
    neuron.swap("s1", { model_id: "c" }, { evict: ["a"] });
    neuron.verified("s1", 900);
    expect(neuron.job("s1")).toBe("failed:insufficient_vram");
    expect(errorOf(neuron, "s1")?.message).toBe(
      "c needs 900 MiB and device 0 has 700 MiB free of 1000 MiB (b holds 300 MiB), even without a; nothing was unloaded for it",
    );
    expect(errorOf(neuron, "s1")).toMatchObject({ evicted: [] });
    expect(neuron.phase("a")).toBe("loaded");
  });

  test.each(["source_not_found", "checksum_mismatch"] as const)(
    "whose file is no good (%s) makes nobody leave",
    (code) => {
      const neuron = holding(["a", 900]);
      neuron.swap("s1", { model_id: "b" }, { evict: ["a"] });
      neuron.on({ kind: "source-refused", instance: "s1", failure: new CortexError(code, "no"), atMs: 2 });
      expect([neuron.job("s1"), neuron.phase("a")]).toEqual([`failed:${code}`, "loaded"]);
    },
  );

  test("waits for the work of all who give way before any of them is told to go", () => {
    const neuron = holding(["a", 400], ["b", 400]);
    neuron.request("load-b");
    neuron.swap("s1", { model_id: "c" }, { evict: ["a", "b"] });
    neuron.verified("s1", 1000);
    expect(neuron.effectKinds()).toEqual(["start-drain-timer", "start-drain-timer"]);
    expect([neuron.phase("a"), neuron.phase("b"), neuron.job("s1")]).toEqual([
      "draining",
      "draining",
      "draining",
    ]);
    neuron.requestEnds("load-b");
    expect(neuron.effectKinds()).toEqual(["stop-worker", "stop-worker"]);
  });

  test("is off when one of them has work for too long: all stay", () => {
    const neuron = holding(["a", 400], ["b", 400]);
    neuron.request("load-b");
    neuron.swap("s1", { model_id: "c" }, { evict: ["a", "b"] });
    neuron.verified("s1", 1000);
    neuron.on({ kind: "drain-timed-out", instance: "load-b", atMs: 7 });
    expect([neuron.phase("a"), neuron.phase("b"), neuron.phase("c")]).toEqual([
      "loaded",
      "loaded",
      undefined,
    ]);
    expect(neuron.job("s1")).toBe("failed:model_busy");
    expect(errorOf(neuron, "s1")?.message).toMatch(
      /^b still had 1 requests in flight .* nothing was unloaded/,
    );
  });

  test("with force does not wait for work", () => {
    const neuron = holding(["a", 900]);
    neuron.request("load-a");
    neuron.swap("s1", { model_id: "b" }, { evict: ["a"], force: true });
    neuron.verified("s1", 900);
    expect(neuron.phase("a")).toBe("stopping");
  });

  test("that is cancelled while others drain leaves them where they are", () => {
    const neuron = holding(["a", 900]);
    neuron.request("load-a");
    neuron.swap("s1", { model_id: "b" }, { evict: ["a"] });
    neuron.verified("s1", 900);
    neuron.on({ kind: "job-cancel-requested", jobId: "s1", unlessJoined: false, atMs: 3 });
    expect([neuron.job("s1"), neuron.phase("a")]).toEqual(["failed:job_cancelled", "loaded"]);
  });

  test("that fails after others left says who is gone", () => {
    const neuron = holding(["a", 900]);
    neuron.swap("s1", { model_id: "b" }, { evict: ["a"] });
    neuron.verified("s1", 900);
    neuron.exited("load-a");
    neuron.exited("s1", { signal: "SIGKILL" });
    expect(neuron.job("s1")).toBe("failed:load_failed");
    expect(errorOf(neuron, "s1")).toMatchObject({ evicted: ["a"] });
    expect(errorOf(neuron, "s1")?.message).toMatch(/; a was unloaded for it before$/);
  });

  test("does not believe memory to be free that the driver still shows as used", () => {
    const neuron = holding(["a", 900]);
    neuron.swap("s1", { model_id: "b" }, { evict: ["a"] });
    neuron.verified("s1", 900, new Map([[0, 900]]));
    neuron.exited("load-a", { code: 0 }, new Map([[0, 500]]));
    expect(neuron.job("s1")).toBe("failed:insufficient_vram");
    expect(errorOf(neuron, "s1")).toMatchObject({
      holders: [{ device: 0, holder: "other processes", held_mb: 500 }],
      evicted: ["a"],
    });
  });

  test("younger loads do not take the memory that is being made", () => {
    const neuron = holding(["a", 900]);
    neuron.request("load-a");
    neuron.swap("s1", { model_id: "b" }, { evict: ["a"] });
    neuron.verified("s1", 950);
    neuron.load("l2", { model_id: "c" });
    neuron.verified("l2", 80);
    expect([neuron.phase("b"), neuron.phase("c")]).toEqual(["evicting", "verified"]);
    neuron.requestEnds("load-a");
    neuron.exited("load-a");
    expect([neuron.phase("b"), neuron.job("l2")]).toEqual(["loading", "failed:insufficient_vram"]);
  });

  test("of two that want the same one gone, the second learns that it gives way already", () => {
    const neuron = holding(["a", 900]);
    neuron.request("load-a");
    neuron.swap("s1", { model_id: "b" }, { evict: ["a"] });
    neuron.swap("s2", { model_id: "c" }, { evict: ["a"] });
    neuron.verified("s1", 900);
    neuron.verified("s2", 900);
    expect([neuron.phase("b"), neuron.job("s2")]).toEqual(["evicting", "failed:insufficient_vram"]);
    expect(errorOf(neuron, "s2")?.message).toContain("nobody who was named can give way");
  });

  test("an unload of one that gives way is done with it, and calling it off leaves the swap alone", () => {
    const neuron = holding(["a", 900]);
    neuron.request("load-a");
    neuron.swap("s1", { model_id: "b" }, { evict: ["a"] });
    neuron.verified("s1", 900);
    neuron.unload("u1", "a");
    neuron.on({ kind: "job-cancel-requested", jobId: "u1", unlessJoined: false, atMs: 3 });
    expect([neuron.job("u1"), neuron.phase("a"), neuron.phase("b")]).toEqual([
      "failed:job_cancelled",
      "draining",
      "evicting",
    ]);
    neuron.unload("u2", "a");
    neuron.requestEnds("load-a");
    neuron.exited("load-a");
    expect([neuron.job("u2"), neuron.phase("b")]).toEqual(["done", "loading"]);
  });

  test("a copy that was loaded anew after the question is not the one that was named", () => {
    const neuron = holding(["a", 900]);
    neuron.swap("s1", { model_id: "b" }, { evict: ["a"] });
    neuron.unload("u1", "a");
    neuron.exited("load-a");
    neuron.load("l2", { model_id: "a" });
    neuron.verified("l2", 900);
    neuron.ready("l2", 900);
    neuron.verified("s1", 900);
    expect([neuron.job("s1"), neuron.phase("a")]).toEqual(["failed:insufficient_vram", "loaded"]);
  });

  test("of a model that is there, or on its way, makes nobody leave", () => {
    const neuron = holding(["a", 400], ["b", 400]);
    expect(neuron.swap("s1", { model_id: "a" }, { evict: ["b"] })).toEqual({ kind: "nothing-to-do" });
    neuron.load("l2", { model_id: "c" });
    expect(neuron.swap("s2", { model_id: "c" }, { evict: ["b"] })).toEqual({ kind: "job", jobId: "l2" });
    expect(neuron.phase("b")).toBe("loaded");
  });

  test.each([
    { evict: ["b"], code: "invalid_request_body" },
    { evict: ["c"], code: "model_busy" },
  ])("of b for $evict is refused as $code", ({ evict, code }) => {
    const neuron = holding(["a", 100]);
    neuron.load("l1", { model_id: "c" });
    expect(neuron.swap("s1", { model_id: "b" }, { evict })).toMatchObject({ failure: { code } });
  });

  test("is refused on an old generation and by a neuron that drains", () => {
    const neuron = holding(["a", 900]);
    const { generation } = neuron.state;
    expect(neuron.swap("s1", { model_id: "b" }, { evict: ["a"], ifMatch: generation - 1 })).toMatchObject({
      failure: { code: "stale_generation" },
    });
    neuron.on({ kind: "drain-requested" });
    expect(neuron.swap("s2", { model_id: "b" }, { evict: ["a"] })).toMatchObject({
      failure: { code: "draining" },
    });
  });

  test("ends in a shutdown, whoever comes first", () => {
    for (const first of ["a", "z"]) {
      const neuron = holding([first, 900]);
      neuron.request(`load-${first}`);
      neuron.swap("s1", { model_id: "b" }, { evict: [first] });
      neuron.verified("s1", 900);
      neuron.on({ kind: "shutdown-begun", drainTimeoutMs: 1, atMs: 5 });
      expect([neuron.job("s1"), neuron.phase(first)]).toEqual(["failed:job_cancelled", "draining"]);
      neuron.requestEnds(`load-${first}`);
      expect(neuron.phase(first)).toBe("stopping");
    }
  });
});

describe("an epoch", () => {
  test("that is lower than one seen is refused; an equal one and none are not", () => {
    const neuron = holding(["a", 100]);
    expect(neuron.swap("s1", { model_id: "b" }, { evict: [], epoch: 7 })).toMatchObject({ kind: "job" });
    expect(neuron.unload("u1", "a", { epoch: 6 })).toMatchObject({
      failure: { code: "stale_epoch", details: { epoch: 7, sent_epoch: 6 } },
    });
    expect(neuron.phase("a")).toBe("loaded");
    expect(neuron.unload("u2", "a")).toMatchObject({ kind: "job" });
    expect(neuron.swap("s2", { model_id: "c" }, { evict: [], epoch: 7 })).toMatchObject({ kind: "job" });
  });

  test("counts even where the generation is old: a newer apply has begun all the same", () => {
    const neuron = holding(["a", 100]);
    neuron.unload("u1", "a", { epoch: 9, ifMatch: 0 });
    expect(neuron.unload("u2", "a", { epoch: 8 })).toMatchObject({ failure: { code: "stale_epoch" } });
  });
});

const byRequest = (modelId: string) => ({ model_id: modelId, origin: { kind: "request" } });

const loadAt = (jobId: string, kind: "manual" | "request", atMs: number) =>
  ({
    kind: "load-requested",
    jobId,
    request: { model_id: "a", harness: "llama", parallel: 1, min_devices: 1, origin: { kind } },
    condition: { ifMatch: null, epoch: null },
    atMs,
  }) as const;

const failOnce = (neuron: DrivenResidency, jobId: string, atMs: number) => {
  neuron.on(loadAt(jobId, "manual", atMs));
  const failure = new CortexError("model_file_invalid", "a is broken");
  neuron.on({ kind: "source-refused", instance: jobId, failure, atMs });
};

describe("a load that failed", () => {
  test("is not tried again for a request until the time is up, and that time grows", () => {
    const neuron = new DrivenResidency(1000);
    failOnce(neuron, "l1", 0);
    expect(neuron.on(loadAt("l2", "request", 9_000))).toMatchObject({
      failure: { code: "model_file_invalid", retryAfterSecs: 1, details: { failed_tries: 1 } },
    });
    expect(neuron.on(loadAt("l3", "request", 10_000))).toMatchObject({ kind: "job" });
    neuron.on({
      kind: "source-refused",
      instance: "l3",
      failure: new CortexError("model_file_invalid", "a is broken"),
      atMs: 10_000,
    });
    expect(neuron.on(loadAt("l4", "request", 25_000))).toMatchObject({
      failure: {
        message: "a is broken (the last 2 tries failed; the next is due in 5 s)",
        retryAfterSecs: 5,
      },
    });
  });

  test("for ever here is not said to be due again", () => {
    const neuron = new DrivenResidency(1000);
    neuron.load("l1", { model_id: "a", min_devices: 2 });
    neuron.verified("l1", 10);
    const request = { model_id: "a", min_devices: 2, harness: "llama" as const, parallel: 1 };
    const again = neuron.on({
      kind: "load-requested",
      jobId: "l2",
      request: { ...request, origin: { kind: "request" } },
      condition: { ifMatch: null, epoch: null },
      atMs: 1000,
    });
    expect(again).toMatchObject({
      failure: {
        code: "no_feasible_neuron",
        message: "a needs 2 devices and this neuron has 1 (the last try failed)",
        retryAfterSecs: undefined,
        isFinal: true,
      },
    });
  });

  test("may be tried by a person at once, and is forgotten once it loads", () => {
    const neuron = new DrivenResidency(1000);
    failOnce(neuron, "l1", 0);
    neuron.on(loadAt("l2", "manual", 1));
    neuron.verified("l2", 10);
    neuron.ready("l2", 10);
    neuron.unload("u1", "a");
    neuron.exited("l2");
    expect(neuron.on(loadAt("l3", "request", 2))).toMatchObject({ kind: "job" });
  });

  test("for want of memory, or because somebody took it back, may be tried at once", () => {
    const neuron = holding(["z", 900]);
    neuron.load("l1", byRequest("a"));
    neuron.verified("l1", 500);
    expect(neuron.job("l1")).toBe("failed:insufficient_vram");
    neuron.load("l2", byRequest("a"));
    neuron.on({ kind: "job-cancel-requested", jobId: "l2", unlessJoined: false, atMs: 3 });
    expect(neuron.load("l3", byRequest("a"))).toMatchObject({ kind: "job" });
  });
});
