import { describe, expect, expectTypeOf, test } from "vitest";
import { placementProblem } from "../../../../src/controller/place/board/build-problem.ts";
import { Board } from "../../../../src/controller/place/board/board.ts";
import {
  at,
  byNo,
  figures,
  flagsOf,
  itemAt,
  next,
  type ApplicantNo,
  type ByNo,
  type DeviceNo,
  type GuestNo,
  type ModelNo,
  type NeuronNo,
} from "../../../../src/controller/place/board/numbers.ts";
import type { Place } from "../../../../src/controller/place/board/problem.ts";
import { placementWorld } from "../../../support/fleet/fleet-generator.ts";

const problem = placementProblem(
  placementWorld({
    neurons: [
      { name: "a", devices: [4000, 6000] },
      {
        name: "b",
        devices: [8000],
        loaded: [{ id: "asked", devices: [0], mib: [1000], origin: "request" }],
      },
    ],
    models: [
      { id: "asked", mib: 1000, replicas: 0 },
      { id: "x", mib: 3000, replicas: 2 },
    ],
  }),
);
const board = new Board(problem);
const [neuron, otherNeuron] = [...problem.neurons.keys()] as [NeuronNo, NeuronNo];
const [device] = [...problem.devices.keys()] as [DeviceNo];
const [applicant] = [...problem.applicants.keys()] as [ApplicantNo];
const [guest] = [...problem.guests.keys()] as [GuestNo];

/** What must not compile; none of it is run. */
const SWAPPED = [
  // @ts-expect-error -- an applicant is no guest
  () => board.evict(applicant, guest),
  // @ts-expect-error -- a guest is no applicant
  () => board.lift(guest),
  // @ts-expect-error -- a device is no neuron
  () => board.hosts(board.modelOf(applicant), device),
  // @ts-expect-error -- a neuron is no device
  () => board.split(board.modelOf(applicant), [neuron]),
  // @ts-expect-error -- a neuron and its devices, not the other way round
  () => board.put(applicant, { neuron: device, devices: [neuron], mib: [1] }),
  // @ts-expect-error -- free by device, not by neuron
  () => at(board.free, neuron),
  // @ts-expect-error -- neurons by neuron, not by device
  () => itemAt(problem.neurons, device),
];

/** What only the board may do. */
const FORBIDDEN = [
  // @ts-expect-error -- read only
  () => (board.free[device] = 1),
  // @ts-expect-error -- read only
  () => (board.places[applicant] = undefined),
  // @ts-expect-error -- read only
  () => (board.untouched[applicant] = 1),
  // @ts-expect-error -- read only
  () => (board.rank[applicant] = 1),
  // @ts-expect-error -- whom somebody left for is asked and noted by methods
  () => (board.copyLeftFor[applicant] = -1),
];

describe("numbers that are names", () => {
  test("of one kind are not taken for those of another", () => {
    expect(SWAPPED).toHaveLength(7);
    expectTypeOf<NeuronNo>().toExtend<keyof typeof problem.neurons>();
    expectTypeOf<DeviceNo>().not.toExtend<keyof typeof problem.neurons>();
    expectTypeOf<number>().not.toExtend<keyof typeof problem.neurons>();
    expectTypeOf<NeuronNo>().not.toExtend<DeviceNo>();
    expectTypeOf<ApplicantNo>().not.toExtend<GuestNo>();
    expectTypeOf<ModelNo>().not.toExtend<ApplicantNo>();
    expectTypeOf<number>().not.toExtend<NeuronNo>();
  });

  test("come out of the lists that they go into", () => {
    expectTypeOf(problem.neurons.keys().next().value).toEqualTypeOf<NeuronNo | undefined>();
    expectTypeOf(itemAt(problem.applicants, applicant).model).toEqualTypeOf<ModelNo>();
    expectTypeOf(board.guestLeftFor(guest)).toEqualTypeOf<ApplicantNo | undefined>();
    expect(next(neuron)).toBe(otherNeuron);
    expect([...problem.devices].map((there) => itemAt(problem.neurons, there.neuron).name)).toEqual([
      "a",
      "a",
      "b",
    ]);
  });

  test("are plain numbers when it runs, and lists by number plain arrays", () => {
    expect(JSON.stringify([applicant, guest, board.free])).toBe('[0,0,{"0":4000,"1":6000,"2":7000}]');
    expect(Array.isArray(problem.devices)).toBe(true);
  });

  test("that nobody has are a defect, not a 0", () => {
    const names: ByNo<NeuronNo, string | undefined> = byNo(["a", undefined]);
    expect(itemAt(names, neuron)).toBe("a");
    for (const ask of [
      () => itemAt(names, otherNeuron),
      () => itemAt(names, next(otherNeuron)),
      () => at(figures<DeviceNo>(new Int32Array(0)), device),
    ])
      expect(ask).toThrow(expect.objectContaining({ code: "internal_error" }) as Error);
  });

  test("are flagged one by one", () => {
    const isB = flagsOf(problem.neurons, ({ name }) => name === "b");
    expect([...isB.entries()]).toEqual([
      [neuron, 0],
      [otherNeuron, 1],
    ]);
  });
});

const placeOn = (host: NeuronNo): Place => ({
  neuron: host,
  devices: [itemAt(problem.neurons, host).firstDevice],
  mib: [3000],
});

function lookTooClosely(): never {
  throw new Error("looked too closely");
}

describe("a board", () => {
  test("is written by nobody else", () => {
    expect(FORBIDDEN).toHaveLength(5);
    expectTypeOf(itemAt(board.hosted, neuron)).toEqualTypeOf<readonly ApplicantNo[]>();
  });

  test("is as it was when somebody has looked at it without a copy", () => {
    const [first, second] = [...problem.applicants.keys()] as [ApplicantNo, ApplicantNo];
    board.put(first, placeOn(neuron));
    board.put(second, placeOn(otherNeuron));
    const shown = (): string =>
      JSON.stringify([board.free, board.roomy, board.largestFree, board.places, board.untouched, board.rank]);
    const before = shown();
    const seen = board.without(first, () => at(board.free, device));
    expect(seen).toBe(4000);
    expect(shown()).toBe(before);
    expect(() => board.without(second, lookTooClosely)).toThrow("too closely");
    expect(shown()).toBe(before);
  });
});
