import { expect, test } from "vitest";
import { missingEngine } from "../../../src/neuron/machine/engine-on-hand.ts";
import { engineVersions } from "../../../src/platform/package-paths.ts";

test("the engine of this checkout is the one that is needed", () => {
  expect(missingEngine(engineVersions())).toBeNull();
});

test("one that is not there and one of another version are told apart, and both say what to run", () => {
  const [absent, other] = [null, "3.9.0"].map((installed) => missingEngine({ needed: "3.22.1", installed }));
  expect(absent?.message).toContain("is not installed");
  expect(other?.message).toBe("node-llama-cpp 3.9.0 is installed, and this cortex works with 3.22.1 only");
  expect([absent?.next, other?.next]).toEqual([
    expect.stringContaining("npm install node-llama-cpp@3.22.1"),
    expect.stringContaining("npm install node-llama-cpp@3.22.1"),
  ]);
});
