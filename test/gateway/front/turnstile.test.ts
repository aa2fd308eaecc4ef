import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { MOST_AT_A_TURN, Turnstile } from "../../../src/gateway/front/io/turnstile.ts";

test("a burst begins in its order, so many in a turn of the loop, and what came before has its turn in between", async () => {
  const turnstile = new Turnstile();
  const begun: number[] = [];
  const came = 3 * MOST_AT_A_TURN + 5;
  for (let at = 0; at < came; at += 1) turnstile.pass(() => begun.push(at));
  const after: number[] = [begun.length];
  while (begun.length < came) {
    await setImmediate();
    after.push(begun.length);
  }
  expect(after).toEqual([1, 2, 3].map((turns) => turns * MOST_AT_A_TURN).concat(came));
  expect(begun).toEqual(Array.from({ length: came }, (_, at) => at));
});

test("whoever comes while others wait is behind them, whoever comes afterwards begins at once", async () => {
  const turnstile = new Turnstile();
  const begun: string[] = [];
  for (let at = 0; at < MOST_AT_A_TURN; at += 1) turnstile.pass(() => undefined);
  turnstile.pass(() => begun.push("waited"));
  turnstile.pass(() => begun.push("waited too"));
  expect(begun).toEqual([]);
  await setImmediate();
  expect(begun).toEqual(["waited", "waited too"]);
  turnstile.pass(() => begun.push("later"));
  expect(begun.at(-1)).toBe("later");
});
