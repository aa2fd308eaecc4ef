import { expect, test } from "vitest";
import { Cancellation } from "../../src/core/cancellation.ts";

test("a cancellation tells each listener once, and the first reason stays", () => {
  const cancellation = new Cancellation();
  const told: string[] = [];
  const forgotten = () => told.push("forgotten");
  cancellation.listen(() => told.push("one"));
  cancellation.listen(forgotten);
  cancellation.listen(() => told.push("two"));
  cancellation.forget(forgotten);
  cancellation.cancel("left");
  cancellation.cancel("stopped");
  expect(told).toStrictEqual(["one", "two"]);
  expect(cancellation.isCancelled).toBe(true);
  expect(cancellation.reason).toBe("left");
});

test("a listener may forget another while all are told", () => {
  const cancellation = new Cancellation();
  const told: string[] = [];
  const second = () => told.push("second");
  cancellation.listen(() => {
    cancellation.forget(second);
    told.push("first");
  });
  cancellation.listen(second);
  cancellation.cancel("left");
  expect(told).toStrictEqual(["first", "second"]);
});

test("its signal says the same, whenever it is asked for", () => {
  const early = new Cancellation();
  const { signal } = early;
  expect(signal.aborted).toBe(false);
  early.cancel("left");
  expect(signal.reason).toBe("left");
  const late = new Cancellation();
  late.cancel("left");
  expect(late.signal.aborted).toBe(true);
  expect(late.signal.reason).toBe("left");
});
