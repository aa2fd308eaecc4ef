import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ACCEPTED, LEFT_OUT } from "./gateway-acceptance.ts";

/** In quotation marks of either kind: a title, or the `what` of a row. */
const named = (title: string): readonly string[] => [`"${title}"`, `'${title}'`, `\`${title}\``];

test.each(ACCEPTED)("$line", ({ proofs }) => {
  expect(proofs.length).toBeGreaterThan(0);
  for (const [file, title] of proofs) {
    const path = new URL(`../${file}`, import.meta.url);
    expect(existsSync(path), file).toBe(true);
    const text = readFileSync(path, "utf8");
    expect(
      named(title).some((quoted) => text.includes(quoted)),
      `${file}: ${title}`,
    ).toBe(true);
  }
});

test("no line is there twice, and what is left out says why", () => {
  const lines = [...ACCEPTED, ...LEFT_OUT].map(({ line }) => line);
  expect(new Set(lines).size).toBe(lines.length);
  expect(LEFT_OUT.filter(({ because }) => because.length < 20)).toEqual([]);
});
