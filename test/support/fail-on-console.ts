import { afterEach, beforeEach } from "vitest";

// Output nobody reads hides real trouble: code under test logs through an explicit logger, so a console call is a mistake.
const METHODS = ["log", "info", "warn", "error", "debug"] as const;
const originals = new Map<string, (...values: unknown[]) => void>();
let calls: string[] = [];

beforeEach(() => {
  calls = [];
  for (const method of METHODS) {
    originals.set(method, console[method]);
    console[method] = (...values: unknown[]) => {
      calls.push(`console.${method}(${values.map(String).join(", ")})`);
    };
  }
});

afterEach(() => {
  for (const method of METHODS) {
    const original = originals.get(method);
    if (original !== undefined) console[method] = original;
  }
  if (calls.length > 0) throw new Error(`printed to the console: ${calls.join("; ")}`);
});
