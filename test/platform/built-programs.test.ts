import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

test("each program that is started by its path is built as a file of its own", () => {
  const started = [...read("src/platform/package-paths.ts").matchAll(/programFile\("([^"]+)"\)/g)];
  const paths = started.map(([, path = ""]) => `src/${path}.ts`);
  expect(paths.length).toBeGreaterThan(3);
  const built = read("scripts/build-program.ts");
  expect(paths.filter((path) => !built.includes(`"${path}"`))).toEqual([]);
});
