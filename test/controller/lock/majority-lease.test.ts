import { describe, expect, test } from "vitest";
import { majorityLease, majorityOf } from "../../../src/controller/lock/majority-lease.ts";
import type { NeuronLease } from "../../../src/protocol/refs/neuron-lease.ts";
import { recordOf } from "./lock-contract.ts";

const lease = (token: string | null, epoch = 1): NeuronLease => ({
  fleet: "test",
  token,
  record: token === null ? null : recordOf({ epoch }),
  last_epoch: epoch,
});

const held = (...leases: readonly (NeuronLease | undefined)[]): string | undefined =>
  majorityLease(leases, leases.length).token;

const [A, B, free, silent] = [lease("aaaaaaaa", 1), lease("bbbbbbbb", 2), lease(null, 0), undefined];

describe("who holds the lock by what neurons say", () => {
  test.each([
    ["nobody has it", [free, free, free], undefined],
    ["all have it", [A, A, A], "aaaaaaaa"],
    ["most have it", [A, free, A], "aaaaaaaa"],
    ["few have it", [A, free, free], undefined],
    ["each has another one", [A, B, free], undefined],
    ["it may have it with a silent one", [A, free, silent], "aaaaaaaa"],
    ["either may have it with a silent one: the later one", [A, B, silent], "bbbbbbbb"],
    ["nobody may have it even with a silent one", [free, free, silent], undefined],
    ["one of two is no majority", [A, free], undefined],
    ["one of two, the other silent", [A, silent], "aaaaaaaa"],
    ["two of five", [A, A, B, free, free], undefined],
    ["two of five and one silent", [A, A, B, silent, free], "aaaaaaaa"],
  ] as const)("%s", (_what, leases, token) => {
    expect(held(...leases)).toBe(token);
  });

  test("epochs that anybody used up count", () => {
    expect(majorityLease([lease(null, 7), free, free], 3).lastEpoch).toBe(7);
    expect(majorityLease([], 0).lastEpoch).toBe(0);
  });

  test.each([
    [1, 1],
    [2, 2],
    [3, 2],
    [4, 3],
    [5, 3],
  ])("of %i neurons %i are most", (neurons, most) => {
    expect(majorityOf(neurons)).toBe(most);
  });
});
