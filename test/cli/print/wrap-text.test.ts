import { describe, expect, test } from "vitest";
import { printPlan } from "../../../src/cli/print/print-plan.ts";
import { wrapText } from "../../../src/cli/print/wrap-text.ts";
import { CANONICAL_CASES } from "../../controller/canonical-fleet.ts";
import { canonical } from "../../controller/verify/spoilt-plans.ts";

// oxlint-disable-next-line no-control-regex -- styles are made of control characters
const bare = (text: string): string => text.replaceAll(/\u001B\[\d+m/g, "");
const widest = (text: string): number =>
  Math.max(
    ...bare(text)
      .split("\n")
      .map(({ length }) => length),
  );

const words = (lines: string): string[] => bare(lines).split(/\s+/);

describe("text in a terminal", () => {
  test("breaks between words, and goes on two columns deeper", () => {
    const text = "      (declared, and no copy of it is loaded anywhere in the whole of the fleet)";
    expect(wrapText(text, 44)).toBe(
      ["      (declared, and no copy of it is loaded", "        anywhere in the whole of the fleet)"].join(
        "\n",
      ),
    );
  });

  test("without a terminal, or in one that is narrower than a sentence, stays as it is", () => {
    const text = "word ".repeat(40);
    expect(wrapText(text, undefined)).toBe(text);
    expect(wrapText(text, 20)).toBe(text);
  });

  test("keeps what is copied whole: addresses, source lines and their mark", () => {
    const url = `https://${"long.".repeat(30)}example/x`;
    expect(wrapText(`see ${url} now`, 60).split("\n")).toEqual(["see", `  ${url}`, "  now"]);
    for (const line of [`  12 | key = "${"x y ".repeat(30)}"`, `     | ${" ".repeat(90)}^^^`])
      expect(wrapText(line, 60)).toBe(line);
  });

  test("styles have no width", () => {
    const styled = `\u001B[1m${"word ".repeat(15).trim()}\u001B[22m`;
    expect(bare(styled)).toHaveLength(74);
    expect(wrapText(styled, 74)).toBe(styled);
    expect(wrapText(styled, 73).split("\n")).toHaveLength(2);
  });

  test.each(Object.keys(CANONICAL_CASES))("a plan fits into 80 columns: %s", (name) => {
    const text = printPlan(canonical(name).plan, { colour: true });
    const shown = wrapText(text, 80);
    expect(widest(shown)).toBeLessThanOrEqual(80);
    expect(words(shown)).toEqual(words(text));
  });
});
