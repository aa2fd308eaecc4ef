import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  foreignMib,
  lostDevices,
  parseFaultScript,
  parseFleetScript,
  scriptFor,
  scriptOfNeuron,
} from "../../../src/neuron/machine/fault-script.ts";

const parsed = (text: string) => {
  const script = parseFaultScript(text, "faults.toml");
  if (!script.ok) throw script.error;
  return script.value;
};

describe("a script of faults", () => {
  test("the one that docs/fault-scripts.md shows is understood whole", () => {
    const page = readFileSync(new URL("../../../docs/fault-scripts.md", import.meta.url), "utf8");
    const script = parsed(/```toml\n(.*?)```/s.exec(page)?.[1] ?? "");
    expect(script).toMatchObject({
      driver_mismatch: expect.stringContaining("NVML") as string,
      models: [
        {
          load_secs: 45,
          crash_after_tokens: 12,
          from_request: 3,
          answers: [{ times: 1 }, { text: "It is sunny." }],
        },
      ],
    });
    expect(lostDevices(script, 119)).toEqual(new Set());
    expect(lostDevices(script, 120)).toEqual(new Set([1]));
    expect(foreignMib(script, 29)).toEqual(new Map());
    expect(foreignMib(script, 30)).toEqual(new Map([[0, 20_000]]));
    expect(foreignMib(script, 90)).toEqual(new Map());
  });

  test("the first block that names a model counts", () => {
    const script = parsed('[[models]]\nmatch = "a/*"\nload_secs = 1\n[[models]]\nload_secs = 2\n');
    expect(scriptFor(script, "a/b")?.load_secs).toBe(1);
    expect(scriptFor(script, "b")?.load_secs).toBe(2);
    expect(scriptFor(undefined, "b")).toBeUndefined();
  });

  test("of a fleet: what is a neuron's own counts before what is for all, as the page shows it", () => {
    const page = readFileSync(new URL("../../../docs/fault-scripts.md", import.meta.url), "utf8");
    const shown = [...page.matchAll(/```toml\n(.*?)```/gs)][1]?.[1] ?? "";
    const script = parseFleetScript(`[[models]]\nload_secs = 9\n${shown}`, "fleet.toml");
    if (!script.ok) throw script.error;
    expect(scriptOfNeuron(script.value, "benjy")).toMatchObject({
      driver_mismatch: expect.any(String) as string,
    });
    const quadbrat = scriptOfNeuron(script.value, "quadbrat");
    expect(quadbrat).not.toHaveProperty("driver_mismatch");
    expect(scriptFor(quadbrat, "example/small-8b")).toMatchObject({ crash_after_tokens: 5 });
    expect(scriptFor(quadbrat, "other")).toMatchObject({ load_secs: 9 });
    expect(scriptFor(scriptOfNeuron(script.value, "beast"), "example/small-8b")).toMatchObject({
      load_secs: 9,
    });
  });

  test.each([
    ["[[models]]\ncrash_after_token = 1\n", 'faults.toml: models[1]: Unrecognized key: "crash_after_token"'],
    ["[[foreign_memory]]\nmib = -1\n", "faults.toml: foreign_memory[1].mib: Too small"],
    ["[[models]\n", "faults.toml: Invalid TOML document"],
  ])("%j is refused with its place", (text, message) => {
    expect(() => parsed(text)).toThrow(message);
  });
});
