import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { foreignMib, parseFaultScript, scriptFor } from "../../../src/neuron/machine/fault-script.ts";

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

  test.each([
    ["[[models]]\ncrash_after_token = 1\n", 'faults.toml: models[1]: Unrecognized key: "crash_after_token"'],
    ["[[foreign_memory]]\nmib = -1\n", "faults.toml: foreign_memory[1].mib: Too small"],
    ["[[models]\n", "faults.toml: Invalid TOML document"],
  ])("%j is refused with its place", (text, message) => {
    expect(() => parsed(text)).toThrow(message);
  });
});
