import { describe, expect, test } from "vitest";
import { admit } from "../../../src/neuron/residency/admission.ts";
import {
  assignmentOf,
  describeActivation,
  readAssignment,
  whyNotAdopted,
  writeAssignment,
  type AssignedModel,
} from "../../../src/neuron/residency/assignment.ts";
import { describeModels } from "../../../src/neuron/residency/describe-residency.ts";
import { heldMib } from "../../../src/neuron/residency/device-ledger.ts";
import type { Job } from "../../../src/protocol/neuron-api.ts";
import { WORKER_PROTOCOL, type WorkerIdentity } from "../../../src/protocol/worker-messages.ts";
import { DrivenResidency, factsOf } from "../../support/neuron/residency-builders.ts";

const address = { socketPath: "/s", logPath: "/l" };

/** A neuron with one model that serves, and what it leaves. */
function left(): { readonly neuron: DrivenResidency; readonly model: AssignedModel } {
  const neuron = new DrivenResidency(1000, 500);
  const instance = neuron.resident("m", 300);
  neuron.on({ kind: "worker-spawned", instance, pid: 7 });
  const [model] = assignmentOf(neuron.state, () => address);
  if (model === undefined) throw new Error("nothing is assigned");
  return { neuron, model };
}

const adopt = (neuron: DrivenResidency, { instance, spec, origin, worker }: AssignedModel) =>
  neuron.on({
    kind: "worker-adopted",
    instance,
    spec,
    origin,
    pid: worker?.pid ?? 0,
    facts: factsOf(300),
    held: worker?.devices ?? [],
    requestedAtMs: 1,
    loadedAtMs: 3,
    atMs: 4,
  });

describe("the assignment", () => {
  test("says where a worker is and what it holds, and survives its file", () => {
    const { model } = left();
    expect(model).toMatchObject({
      instance: "load-m",
      wanted: true,
      worker: {
        pid: 7,
        socket_path: "/s",
        log_path: "/l",
        loaded_at_ms: 3,
        devices: [{ index: 0, mib: 300 }],
      },
    });
    expect(readAssignment(writeAssignment([model]))).toEqual([model]);
  });

  test("is written before a load is told, which may be called off until then", () => {
    const neuron = new DrivenResidency(1000);
    for (const id of ["a", "b", "c"]) {
      neuron.load(id, { model_id: id });
      neuron.verified(id, 100);
      neuron.arrived(id, 100);
    }
    const { generation } = neuron.state;
    expect(neuron.job("a")).toBe("loading");
    expect(describeModels(neuron.state).models[0]).toMatchObject({ status: "loading", loaded_at_ms: null });
    expect(admit(neuron.state, "a")).toMatchObject({ error: { failure: { code: "model_loading" } } });
    expect(neuron.swap("s", { model_id: "d" }, { evict: ["a"] })).toMatchObject({
      failure: { code: "model_busy" },
    });
    neuron.kept("a");
    expect(neuron.job("a")).toBe("done");
    expect(neuron.state.generation).toBe(generation + 1);
    expect(neuron.state.models.get("a")).toMatchObject({ phase: { name: "loaded" }, loadedAtMs: 3 });
    neuron.unload("u", "b");
    neuron.kept("b");
    expect(neuron.effectKinds()).toEqual([]);
    neuron.exited("b");
    expect([neuron.job("b"), neuron.job("u")]).toEqual(["failed:job_cancelled", "done"]);
    neuron.exited("c", { signal: "SIGSEGV" });
    neuron.kept("c");
    expect([neuron.job("c"), neuron.phase("c")]).toEqual(["failed:load_failed", undefined]);
  });

  test("has what waits to be loaded again, behind what is here, until somebody unloads it", () => {
    const { neuron } = left();
    neuron.exited("load-m", { signal: "SIGSEGV" });
    neuron.resident("other", 100);
    expect(assignmentOf(neuron.state, () => address)).toMatchObject([
      { spec: { model_id: "other" } },
      { instance: "load-m", spec: { model_id: "m" }, wanted: true, worker: null },
    ]);
    neuron.unload("u", "m");
    expect(assignmentOf(neuron.state, () => address)).toMatchObject([{ spec: { model_id: "other" } }]);
  });

  test("does not want back what was told to leave", () => {
    const { neuron } = left();
    neuron.request("load-m");
    neuron.unload("u", "m");
    expect(assignmentOf(neuron.state, () => address)).toMatchObject([{ wanted: false }]);
    neuron.requestEnds("load-m");
    expect(assignmentOf(neuron.state, () => address)).toMatchObject([{ wanted: false }]);
    neuron.exited("load-m");
    expect(assignmentOf(neuron.state, () => address)).toEqual([]);
  });
});

describe("a worker that was left", () => {
  const identity: WorkerIdentity = {
    protocol: WORKER_PROTOCOL,
    instance: "load-m",
    spec_hash: left().model.spec_hash,
    model_id: "m",
    pid: 7,
    facts: factsOf(300),
  };

  test.each([
    ["answers as itself", identity, null],
    ["is gone", null, "its worker is gone"],
    ["is another copy", { ...identity, instance: "load-2" }, "another worker answers in its place"],
    ["has other settings", { ...identity, spec_hash: "x" }, "another worker answers in its place"],
    ["is another process", { ...identity, pid: 8 }, "another worker answers in its place"],
    ["speaks another protocol", { ...identity, protocol: 99 }, "its worker is of another version"],
  ])("that %s", (...[, found, reason]) => {
    expect(whyNotAdopted(left().model, found)).toBe(reason);
  });

  test("that was still loading", () => {
    expect(whyNotAdopted({ ...left().model, worker: null }, identity)).toBe("it was still loading");
  });

  test("goes on as it was, with its memory", () => {
    const { neuron, model } = left();
    const next = new DrivenResidency(1000, 500);
    adopt(next, model);
    expect(next.effects).toEqual([]);
    expect(next.phase("m")).toBe("loaded");
    expect(next.state.ledger).toEqual(neuron.state.ledger);
    next.unload("u", "m");
    next.exited("load-m");
    expect(next.job("u")).toBe("done");
    expect(next.state.ledger.map(heldMib)).toEqual([0, 0]);
  });

  test.each([
    ["its memory is promised to others", (next: DrivenResidency) => next.resident("other", 800)],
    ["its model is here already", (next: DrivenResidency) => next.resident("m", 10)],
  ])("is told to go when %s", (_name, before) => {
    const next = new DrivenResidency(1000);
    before(next);
    const { models } = next.state;
    adopt(next, left().model);
    expect(next.effects).toEqual([{ kind: "stop-worker", instance: "load-m" }]);
    expect(next.state.models).toBe(models);
  });

  test("is told to go when its device is not there any more", () => {
    const next = new DrivenResidency();
    adopt(next, left().model);
    expect(next.effectKinds()).toEqual(["stop-worker"]);
  });
});

const job = (id: string, state: Job["state"], error: Job["error"] = null): [string, Job] => [
  id,
  { id, kind: "load", model_id: id, state, progress: null, created_at_ms: 0, ended_at_ms: null, error },
];

test("the activation has each model in one list", () => {
  const jobs = new Map([
    job("a", "done"),
    job("b", "loading"),
    job("c", "verifying"),
    job("d", "failed", { code: "load_failed", message: "no", next: "" }),
    job("e", "loading"),
  ]);
  const restored = [
    { modelId: "kept", kind: "adopted" as const },
    { modelId: "odd", kind: "refused" as const, reason: "why" },
    { modelId: "unloaded", kind: "dismissed" as const },
    ...["a", "b", "c", "d", "e", "old"].map((id) => ({ modelId: id, kind: "loads" as const, jobId: id })),
  ];
  expect(describeActivation(restored, jobs)).toEqual({
    state: "pre_warming",
    pending: ["e", "c"],
    in_progress: "b",
    completed: ["kept", "a", "old"],
    failed: [
      { model_id: "odd", error: "why" },
      { model_id: "d", error: "no" },
    ],
  });
  expect(describeActivation([], new Map()).state).toBe("ready");
});
