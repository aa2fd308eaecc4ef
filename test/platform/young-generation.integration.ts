import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const script = fileURLToPath(new URL("../support/surviving-objects.ts", import.meta.url));

async function mostMib(bound: number): Promise<number> {
  const { stdout } = await promisify(execFile)(process.execPath, [script, String(bound)]);
  return (JSON.parse(stdout) as { readonly mostMib: number }).mostMib;
}

// A page or so of it is never free.
test.each([2, 8])("what dies young has no more than %i MiB where it is bound to that", async (bound) => {
  const most = await mostMib(bound);
  expect(most).toBeGreaterThan(bound / 2);
  expect(most).toBeLessThanOrEqual(bound);
});

test("a bound above what V8 would take changes nothing", async () => {
  expect(await mostMib(1000)).toBeGreaterThan(16);
});
