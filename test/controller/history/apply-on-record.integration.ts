import { describe, expect, test } from "vitest";
import {
  ApplyOnRecord,
  type RecordedApplyOptions,
} from "../../../src/controller/history/io/apply-on-record.ts";
import type { ClosingEntry, LockStore } from "../../../src/controller/lock/lock-store.ts";
import { CortexError } from "../../../src/core/errors.ts";
import { systemClock } from "../../../src/platform/system-clock.ts";
import type { LockRecord } from "../../../src/protocol/refs/lock-record.ts";
import { bench, model, stepsOf, type Bench } from "../apply/apply-bench.ts";
import { operatorOf } from "../lock/lock-contract.ts";

/** A place for one lock, in memory. */
class Place implements LockStore {
  readonly shown: string;
  readonly entries: (ClosingEntry & { readonly epoch: number })[] = [];
  refusal: CortexError | undefined;
  lastEpoch = 0;
  #held: { readonly token: string; readonly record: LockRecord } | undefined;
  #count = 0;

  constructor(shown: string) {
    this.shown = shown;
  }

  read = () =>
    Promise.resolve({ token: this.#held?.token, record: this.#held?.record, lastEpoch: this.lastEpoch });

  swap = (_expected: string | undefined, record: LockRecord): Promise<string | undefined> => {
    if (this.refusal !== undefined) return Promise.reject(this.refusal);
    this.#count += 1;
    this.#held = { token: String(this.#count), record };
    return Promise.resolve(this.#held.token);
  };

  drop = (_expected: string, entry: ClosingEntry & { readonly epoch: number }): Promise<boolean> => {
    this.entries.push(entry);
    this.#held = undefined;
    return Promise.resolve(true);
  };
}

const run = async (bed: Bench, options: Partial<RecordedApplyOptions>) => {
  const remarks: string[] = [];
  const course = new ApplyOnRecord(bed.plan, {
    store: undefined,
    operation: "apply",
    operator: operatorOf("ann"),
    clock: systemClock,
    summary: "",
    onRemark: (text) => void remarks.push(text),
    apply: { onEvent: () => undefined },
    ...options,
  });
  return { remarks, ...(await course.run()) };
};

const epochsAt = (bed: Bench): unknown[] =>
  bed
    .neuron("a")
    .calls.filter(({ path }) => path === "/models/load")
    .map(({ epoch }) => epoch);

const oneLoad = () => bench(model("m"), { a: { devices: [8000] } });

const onEvent = () => {
  throw new Error("the screen is gone");
};

describe("where an apply has its lock from", () => {
  test("the neurons, where the repository has no remote", async () => {
    await using bed = await oneLoad();
    const lease = new Place("the neurons");
    const { result, remarks, unrecorded } = await run(bed, { lease });
    expect([stepsOf(result.applied), epochsAt(bed)]).toEqual([["load m@a"], ["1"]]);
    expect([lease.entries.length, remarks, unrecorded]).toEqual([1, [], undefined]);
  });

  test("the neurons, where the remote lets nobody write, which is said", async () => {
    await using bed = await oneLoad();
    const [store, lease] = [new Place("git"), new Place("the neurons")];
    store.refusal = new CortexError("refs_not_writable", "git lets nobody write");
    const { result, remarks } = await run(bed, { store, lease });
    expect(stepsOf(result.applied)).toEqual(["load m@a"]);
    expect(remarks).toEqual([
      "Applying under a lease on the neurons, and without an entry in the history: git lets nobody write.",
    ]);
    expect(lease.entries).toHaveLength(1);
  });

  test("git, with an epoch above those that were used up under leases meanwhile", async () => {
    await using bed = await oneLoad();
    const [store, lease] = [new Place("git"), new Place("the neurons")];
    lease.lastEpoch = 9;
    await run(bed, { store, lease });
    expect(epochsAt(bed)).toEqual(["10"]);
    expect([store.entries.length, lease.entries.length]).toEqual([1, 0]);
  });

  test("nowhere, where neurons are too old to keep any, which is said; not where too few answer", async () => {
    await using bed = await oneLoad();
    const lease = new Place("the neurons");
    lease.refusal = new CortexError("lock_unreachable", "1 of 3 answer");
    await expect(run(bed, { lease })).rejects.toMatchObject({ code: "lock_unreachable" });
    expect(bed.neuron("a").changes()).toEqual([]);
    lease.refusal = new CortexError("leases_not_kept", "an older cortex");
    const { remarks } = await run(bed, { lease });
    expect(remarks).toEqual(["Applying without a lock: an older cortex."]);
    expect(epochsAt(bed)).toEqual([undefined]);
  });
});

describe("what is written down when an apply throws", () => {
  test("that nothing was sent, only where a plan was refused", async () => {
    await using bed = await oneLoad();
    const store = new Place("git");
    const refused = { ...bed.plan, problems: ["no"], errored: true };
    const course = { ...bed, plan: refused };
    await expect(run(course, { store })).rejects.toMatchObject({ code: "plan_refused" });
    expect(store.entries.map(({ message }) => message)).toEqual([
      "lock given back: the plan was refused, nothing was sent",
    ]);
  });

  test("that nobody knows, and why, where it broke off", async () => {
    await using bed = await oneLoad();
    const store = new Place("git");
    const signal = AbortSignal.abort();
    await expect(run(bed, { store, apply: { onEvent, signal } })).rejects.toThrow("the screen is gone");
    expect(store.entries[0]?.message).toBe(
      "lock given back: the apply broke off, and what it had sent until then is not known here: the screen is gone",
    );
  });
});
