import { expect, test } from "vitest";
import { soak } from "../support/worker/soak.ts";

// The short form; `node bench/soak/run.ts` asks 10,000 times and looks at the memory.

test("whoever leaves, and whenever: the others are answered, and every slot is free at the end", async () => {
  const { broken, health, answered, left, refused } = await soak({ requests: 250, clients: 12, seed: 1 });
  expect(broken).toEqual([]);
  expect(health).toMatchObject({ slots_busy: 0, queued: 0 });
  expect(answered + left + refused).toBe(250);
  expect(left).toBeGreaterThan(10);
});
