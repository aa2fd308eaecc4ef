import { describe, expect, test } from "vitest";
import { CortexError } from "../../../src/core/errors.ts";
import { heldByMib } from "../../../src/neuron/residency/device-ledger.ts";
import { DrivenResidency } from "../../support/neuron/residency-builders.ts";

describe("a load", () => {
  test("goes through its steps and ends measured", () => {
    const neuron = new DrivenResidency(1000);
    expect(neuron.load("j1", { model_id: "a" })).toEqual({ kind: "job", jobId: "j1" });
    expect(neuron.effectKinds()).toEqual(["verify-source"]);
    expect(neuron.job("j1")).toBe("verifying");
    neuron.verified("j1", 700);
    expect(neuron.effects).toMatchObject([
      { kind: "start-worker", devices: [0], file: { contextTokens: 1024 } },
    ]);
    expect(neuron.job("j1")).toBe("loading");
    expect(heldByMib(neuron.state.ledger, "a")).toBe(700);
    neuron.on({ kind: "load-progressed", instance: "j1", fraction: 0.4 });
    expect(neuron.state.jobs.get("j1")?.progress).toBe(0.4);
    neuron.ready("j1", 300);
    expect(neuron.job("j1")).toBe("done");
    expect(neuron.phase("a")).toBe("loaded");
    expect(heldByMib(neuron.state.ledger, "a")).toBe(300);
    expect(neuron.effectKinds()).toEqual(["keep-assignment", "report-load-ended"]);
  });

  test("is single-flight: same spec joins, loaded is done, other settings conflict", () => {
    const neuron = new DrivenResidency(1000);
    neuron.load("j1", { model_id: "a" });
    expect(neuron.load("j2", { model_id: "a", devices: [0], vram_mb: 5 })).toEqual({
      kind: "job",
      jobId: "j1",
    });
    expect(neuron.effects).toEqual([]);
    expect(neuron.load("j3", { model_id: "a", context: 99 })).toMatchObject({
      failure: { code: "spec_conflict" },
    });
    neuron.verified("j1", 10);
    neuron.ready("j1", 10);
    expect(neuron.load("j4", { model_id: "a" })).toEqual({ kind: "nothing-to-do" });
    neuron.unload("u1", "a");
    expect(neuron.load("j5", { model_id: "a" })).toMatchObject({ failure: { code: "draining" } });
  });

  test("is not taken back for one of two that asked for it, unless somebody insists", () => {
    const neuron = new DrivenResidency(1000);
    const takeBack = (jobId: string, unlessJoined: boolean) =>
      neuron.on({ kind: "job-cancel-requested", jobId, unlessJoined, atMs: 2 });
    neuron.load("j1", { model_id: "a" });
    neuron.load("j2", { model_id: "a" });
    expect(takeBack("j1", true)).toEqual({ kind: "job", jobId: "j1" });
    expect(neuron.job("j1")).toBe("verifying");
    takeBack("j1", false);
    expect(neuron.job("j1")).toBe("failed:job_cancelled");
    neuron.load("j3", { model_id: "b" });
    takeBack("j3", true);
    expect(neuron.job("j3")).toBe("failed:job_cancelled");
  });

  test("that does not fit names who holds the memory", () => {
    const neuron = new DrivenResidency(1000);
    neuron.resident("a", 800);
    neuron.load("j2", { model_id: "b" });
    neuron.verified("j2", 300);
    expect(neuron.job("j2")).toBe("failed:insufficient_vram");
    expect(neuron.state.jobs.get("j2")?.error).toMatchObject({
      device: 0,
      required_mb: 300,
      free_mb: 200,
      holders: [{ device: 0, holder: "a", held_mb: 800 }],
    });
    expect(neuron.phase("b")).toBeUndefined();
  });

  test("waits for memory that a stopping worker still holds, and younger loads wait behind it", () => {
    const neuron = new DrivenResidency(1000);
    const a = neuron.resident("a", 800);
    neuron.unload("u1", "a");
    neuron.load("j2", { model_id: "b" });
    neuron.verified("j2", 900);
    neuron.load("j3", { model_id: "c" });
    neuron.verified("j3", 100);
    expect(neuron.effects).toEqual([]);
    expect([neuron.job("j2"), neuron.job("j3")]).toEqual(["reserving", "reserving"]);
    neuron.exited(a);
    expect(neuron.effects).toMatchObject([{ kind: "start-worker", instance: "j2" }]);
    expect(neuron.phase("c")).toBe("reserved");
    neuron.ready("j2", 900);
    expect(neuron.effectKinds()).toEqual(["keep-assignment", "start-worker", "report-load-ended"]);
  });

  test("loads on one device go one after the other, on others side by side", () => {
    const neuron = new DrivenResidency(1000, 1000);
    const loads = [
      { id: "a", devices: [0] },
      { id: "b", devices: [0, 1] },
      { id: "c", devices: [1] },
    ];
    for (const { id, devices } of loads) {
      neuron.load(id, { model_id: id, devices });
      neuron.verified(id, 100);
    }
    // c would fit beside a, yet b waits for device 1 too and is older.
    expect(["a", "b", "c"].map((id) => neuron.phase(id))).toEqual(["loading", "reserved", "reserved"]);
    neuron.load("d", { model_id: "d", devices: [0] });
    neuron.verified("d", 100);
    neuron.ready("a", 100);
    expect(["b", "c", "d"].map((id) => neuron.phase(id))).toEqual(["loading", "reserved", "reserved"]);
    neuron.ready("b", 100);
    expect(["c", "d"].map((id) => neuron.phase(id))).toEqual(["loading", "loading"]);
  });

  test("whose measurement does not fit is stopped and says what to declare", () => {
    const neuron = new DrivenResidency(1000);
    neuron.resident("a", 500);
    neuron.load("j2", { model_id: "b" });
    neuron.verified("j2", 100);
    neuron.ready("j2", 600);
    expect(neuron.effectKinds()).toEqual(["stop-worker"]);
    expect(neuron.job("j2")).toBe("loading");
    neuron.exited("j2");
    expect(neuron.job("j2")).toBe("failed:insufficient_vram");
    expect(neuron.state.jobs.get("j2")?.error?.next).toContain("vram_mb = 600");
    expect(heldByMib(neuron.state.ledger, "b")).toBe(0);
  });

  test.each([
    { name: "the file is refused", code: "source_not_found" as const },
    { name: "the pin differs", code: "checksum_mismatch" as const },
  ])("fails when $name", ({ code }) => {
    const neuron = new DrivenResidency(1000);
    neuron.load("j1", { model_id: "a" });
    neuron.on({ kind: "source-refused", instance: "j1", failure: new CortexError(code, "no"), atMs: 2 });
    expect(neuron.job("j1")).toBe(`failed:${code}`);
    expect(neuron.state.models.size).toBe(0);
  });

  test("whose worker fails keeps its memory until the process is gone", () => {
    const neuron = new DrivenResidency(1000);
    neuron.load("j1", { model_id: "a" });
    neuron.verified("j1", 500);
    const failure = new CortexError("model_file_invalid", "no model");
    neuron.on({ kind: "load-failed", instance: "j1", failure, atMs: 3 });
    expect(heldByMib(neuron.state.ledger, "a")).toBe(500);
    neuron.exited("j1", { code: 1 });
    expect(heldByMib(neuron.state.ledger, "a")).toBe(0);
    expect(neuron.state.jobs.get("j1")?.error).toMatchObject({
      code: "model_file_invalid",
      last_log_lines: ["bye"],
    });
  });

  test("whose worker just dies fails with how it died", () => {
    const neuron = new DrivenResidency(1000);
    neuron.load("j1", { model_id: "a" });
    neuron.verified("j1", 500);
    neuron.exited("j1", { signal: "SIGSEGV" });
    expect(neuron.state.jobs.get("j1")?.error).toMatchObject({ code: "load_failed", signal: "SIGSEGV" });
    expect(neuron.effectKinds()).toEqual(["report-load-ended", "report-worker-lost"]);
  });

  test("asking for more devices than there are, or for one that is not there, is told apart", () => {
    const neuron = new DrivenResidency(1000);
    neuron.load("j1", { model_id: "a", min_devices: 2 });
    neuron.verified("j1", 10);
    expect(neuron.job("j1")).toBe("failed:no_feasible_neuron");
    neuron.load("j2", { model_id: "a", devices: [4] });
    neuron.verified("j2", 10);
    expect(neuron.job("j2")).toBe("failed:invalid_request_body");
  });

  test("takes what others use on the device into account", () => {
    const neuron = new DrivenResidency(1000);
    neuron.load("j1", { model_id: "a" });
    neuron.verified("j1", 300, new Map([[0, 800]]));
    expect(neuron.state.jobs.get("j1")?.error).toMatchObject({
      code: "insufficient_vram",
      free_mb: 200,
      holders: [{ holder: "other processes", held_mb: 800 }],
    });
  });
});

describe("an unload", () => {
  test("of an idle model stops it; the memory is free once the process is gone", () => {
    const neuron = new DrivenResidency(1000);
    const a = neuron.resident("a", 800);
    expect(neuron.unload("u1", "a")).toEqual({ kind: "job", jobId: "u1" });
    expect(neuron.effects).toEqual([{ kind: "stop-worker", instance: a }]);
    expect(neuron.job("u1")).toBe("stopping");
    expect(heldByMib(neuron.state.ledger, "a")).toBe(800);
    neuron.exited(a, { signal: "SIGKILL" });
    expect(neuron.job("u1")).toBe("done");
    expect(heldByMib(neuron.state.ledger, "a")).toBe(0);
    expect(neuron.effects).toEqual([]);
  });

  test("of what is not there is done", () => {
    expect(new DrivenResidency(10).unload("u1", "a")).toEqual({ kind: "nothing-to-do" });
  });

  test("waits for the last request, then stops", () => {
    const neuron = new DrivenResidency(1000);
    const a = neuron.resident("a", 10);
    neuron.request(a);
    neuron.request(a);
    neuron.unload("u1", "a");
    expect(neuron.effects).toEqual([{ kind: "start-drain-timer", instance: a, timeoutMs: 1000 }]);
    neuron.requestEnds(a);
    expect(neuron.phase("a")).toBe("draining");
    neuron.requestEnds(a);
    expect(neuron.effects).toEqual([{ kind: "stop-worker", instance: a }]);
  });

  test("whose drain time is over gives the model back", () => {
    const neuron = new DrivenResidency(1000);
    const a = neuron.resident("a", 10);
    neuron.request(a);
    neuron.unload("u1", "a");
    neuron.on({ kind: "drain-timed-out", instance: a, atMs: 7 });
    expect(neuron.job("u1")).toBe("failed:model_busy");
    expect(neuron.phase("a")).toBe("loaded");
    neuron.on({ kind: "drain-timed-out", instance: a, atMs: 8 });
    expect(neuron.phase("a")).toBe("loaded");
  });

  test("a second one joins the first; with force it stops waiting", () => {
    const neuron = new DrivenResidency(1000);
    const a = neuron.resident("a", 10);
    neuron.request(a);
    neuron.unload("u1", "a");
    expect(neuron.unload("u2", "a")).toEqual({ kind: "job", jobId: "u1" });
    expect(neuron.phase("a")).toBe("draining");
    expect(neuron.unload("u3", "a", { force: true })).toEqual({ kind: "job", jobId: "u1" });
    expect(neuron.effects).toEqual([{ kind: "stop-worker", instance: a }]);
    neuron.exited(a);
    expect(neuron.job("u1")).toBe("done");
  });

  test.each(["verifying", "loading"])("of a model that is %s cancels its load", (step) => {
    const neuron = new DrivenResidency(1000);
    neuron.load("j1", { model_id: "a" });
    if (step === "loading") neuron.verified("j1", 10);
    neuron.unload("u1", "a");
    if (step === "loading") neuron.exited("j1", { signal: "SIGTERM" });
    expect([neuron.job("j1"), neuron.job("u1")]).toEqual(["failed:job_cancelled", "done"]);
    expect(neuron.state.models.size).toBe(0);
    expect(heldByMib(neuron.state.ledger, "a")).toBe(0);
  });

  test("a reserved load that is cancelled gives its promise back to those who wait", () => {
    const neuron = new DrivenResidency(1000);
    for (const id of ["a", "b", "c"]) neuron.load(id, { model_id: id });
    neuron.verified("a", 400);
    neuron.verified("b", 400);
    neuron.unload("u1", "b");
    expect(heldByMib(neuron.state.ledger, "b")).toBe(0);
    neuron.verified("c", 600);
    expect(neuron.phase("c")).toBe("reserved");
  });

  test("may be called off while it drains, not while the process stops", () => {
    const neuron = new DrivenResidency(1000);
    const a = neuron.resident("a", 10);
    neuron.request(a);
    neuron.unload("u1", "a");
    neuron.on({ kind: "job-cancel-requested", jobId: "u1", unlessJoined: false, atMs: 7 });
    expect(neuron.job("u1")).toBe("failed:job_cancelled");
    expect(neuron.phase("a")).toBe("loaded");
    neuron.unload("u2", "a", { force: true });
    const answer = neuron.on({ kind: "job-cancel-requested", jobId: "u2", unlessJoined: false, atMs: 8 });
    expect(answer).toMatchObject({ kind: "refused", failure: { code: "model_busy" } });
    expect(
      neuron.on({ kind: "job-cancel-requested", jobId: "nope", unlessJoined: false, atMs: 8 }),
    ).toMatchObject({
      failure: { code: "job_not_found" },
    });
  });
});

describe("a worker that exits by itself", () => {
  test("takes its model with it, and late events about it change nothing", () => {
    const neuron = new DrivenResidency(1000);
    const a = neuron.resident("a", 800);
    neuron.request(a);
    const { generation } = neuron.state;
    neuron.exited(a, { signal: "SIGSEGV" });
    expect(neuron.state.models.size).toBe(0);
    expect(neuron.state.generation).toBe(generation + 1);
    expect(neuron.effects).toMatchObject([
      { kind: "report-worker-lost", modelId: "a", openRequests: 1 },
      { kind: "start-restart-timer", request: { model_id: "a" }, delayMs: 0 },
    ]);
    const gone = neuron.state;
    neuron.requestEnds(a);
    neuron.ready(a, 5);
    neuron.exited(a);
    expect(neuron.state).toBe(gone);
  });

  test("while it drains the unload is done", () => {
    const neuron = new DrivenResidency(1000);
    const a = neuron.resident("a", 800);
    neuron.request(a);
    neuron.unload("u1", "a");
    neuron.exited(a, { code: 3 });
    expect(neuron.job("u1")).toBe("done");
  });
});

describe("the generation", () => {
  test("moves with what a planner sees and with nothing else", () => {
    const neuron = new DrivenResidency(1000);
    const seen: number[] = [];
    const note = () => seen.push(neuron.state.generation);
    note();
    neuron.load("j1", { model_id: "a" });
    note();
    neuron.verified("j1", 10);
    note();
    neuron.on({ kind: "load-progressed", instance: "j1", fraction: 0.5 });
    neuron.on({ kind: "worker-spawned", instance: "j1", pid: 7 });
    note();
    neuron.ready("j1", 10);
    note();
    neuron.request("j1");
    neuron.requestEnds("j1");
    note();
    neuron.unload("u1", "a");
    note();
    neuron.exited("j1");
    note();
    expect(seen).toEqual([0, 1, 2, 2, 3, 3, 4, 5]);
  });

  test("guards changes", () => {
    const neuron = new DrivenResidency(1000);
    neuron.resident("a", 10);
    const { generation } = neuron.state;
    expect(neuron.load("j2", { model_id: "b" }, generation - 1)).toMatchObject({
      failure: { code: "stale_generation", details: { generation } },
    });
    expect(neuron.unload("u1", "a", { ifMatch: generation + 1 })).toMatchObject({
      failure: { code: "stale_generation" },
    });
    expect(neuron.unload("u2", "a", { ifMatch: generation })).toMatchObject({ kind: "job" });
  });
});

describe("drain and shutdown", () => {
  test("a drained neuron refuses new models and still unloads; resume undoes it", () => {
    const neuron = new DrivenResidency(1000);
    neuron.resident("a", 10);
    neuron.on({ kind: "drain-requested" });
    expect(neuron.load("j2", { model_id: "b" })).toMatchObject({ failure: { code: "draining" } });
    expect(neuron.load("j3", { model_id: "a" })).toEqual({ kind: "nothing-to-do" });
    expect(neuron.unload("u1", "a")).toMatchObject({ kind: "job" });
    neuron.on({ kind: "resume-requested" });
    expect(neuron.load("j4", { model_id: "b" })).toMatchObject({ kind: "job" });
  });

  test("a shutdown ends everything: loads are cancelled, idle ones stop, busy ones after a drain", () => {
    const neuron = new DrivenResidency(1000);
    const idle = neuron.resident("idle", 10);
    const busy = neuron.resident("busy", 10);
    neuron.request(busy);
    neuron.load("j3", { model_id: "new" });
    neuron.load("j4", { model_id: "half" });
    neuron.verified("j4", 10);
    neuron.on({ kind: "shutdown-begun", drainTimeoutMs: 50, atMs: 8 });
    expect(neuron.effects).toEqual([
      { kind: "stop-worker", instance: idle },
      { kind: "start-drain-timer", instance: busy, timeoutMs: 50 },
      { kind: "abandon-verification", instance: "j3" },
      { kind: "report-load-ended", jobId: "j3" },
      { kind: "stop-worker", instance: "j4" },
    ]);
    neuron.on({ kind: "resume-requested" });
    expect(neuron.load("j5", { model_id: "x" })).toMatchObject({ failure: { code: "draining" } });
    neuron.on({ kind: "drain-timed-out", instance: busy, atMs: 9 });
    expect(neuron.effects).toEqual([{ kind: "stop-worker", instance: busy }]);
    for (const instance of [idle, busy, "j4"]) neuron.exited(instance);
    expect(neuron.state.models.size).toBe(0);
  });

  test("a load that waits for its device is not started because another one is cancelled", () => {
    const neuron = new DrivenResidency(1000);
    neuron.load("first", { model_id: "a" });
    neuron.verified("first", 10);
    neuron.load("unverified", { model_id: "b" });
    neuron.load("waiting", { model_id: "c" });
    neuron.verified("waiting", 10);
    neuron.on({ kind: "shutdown-begun", drainTimeoutMs: 50, atMs: 8 });
    expect(neuron.effects.filter(({ kind }) => kind === "start-worker")).toEqual([]);
    neuron.exited("first");
    expect(neuron.effects.filter(({ kind }) => kind === "start-worker")).toEqual([]);
    expect(neuron.state.models.size).toBe(0);
    expect([...neuron.state.jobs.values()].map(({ state }) => state)).toEqual(["failed", "failed", "failed"]);
  });
});
