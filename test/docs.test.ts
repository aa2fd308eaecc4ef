import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { REFERENCE_PAGES } from "../scripts/reference-pages.ts";

test.each(Object.keys(REFERENCE_PAGES))("%s is what the code says (npm run docs)", (path) => {
  const onDisk = readFileSync(new URL(`../${path}`, import.meta.url), "utf8");
  expect(onDisk).toBe(REFERENCE_PAGES[path]?.());
});
