import { expect, test } from "vitest";
import { Guardians } from "../../src/worker/io/guardians.ts";
import { ManualClock } from "../support/manual-clock.ts";

test("a worker goes when nobody has had it for the grace period, and not before", async () => {
  const clock = new ManualClock();
  let abandoned = 0;
  const guardians = new Guardians({ clock, graceMs: 1000, onAbandoned: () => (abandoned += 1) });
  const parent = guardians.add();
  await clock.advance(60_000);
  parent();
  await clock.advance(999);
  const next = guardians.add();
  await clock.advance(60_000);
  expect(abandoned).toBe(0);
  const another = guardians.add();
  next();
  next();
  await clock.advance(60_000);
  expect(abandoned).toBe(0);
  another();
  await clock.advance(1000);
  expect(abandoned).toBe(1);
});
