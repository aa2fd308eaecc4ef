import { describe, expect, test } from "vitest";
import { topFrame } from "../../../src/cli/top/top-frame.ts";
import { initialTop, type TopState } from "../../../src/cli/top/top-state.ts";
import { NOW_MS } from "../overview/fleet-states.ts";
import { HEARD, keys, played } from "./shown-fleet.ts";

interface Drawn {
  readonly columns: number;
  readonly rows: number;
  readonly colour?: boolean;
  readonly unicode?: boolean;
}

const drawn = (
  state: TopState,
  { columns, rows, colour = false, unicode = true }: Drawn,
): readonly string[] => topFrame(state, { columns, rows, colour, unicode }).lines;

const after = (text: string): TopState => played([...HEARD, ...keys(text)]).state;

const text = (state: TopState, size: Drawn): string => `${drawn(state, size).join("\n")}\n`;

const SCREENS: readonly (readonly [name: string, keys: string])[] = [
  ["panes", ""],
  ["neurons", "1"],
  ["requests", "3"],
  ["neuron", "1<enter>"],
  ["model", "G<enter>"],
  ["filter", "/llama"],
  ["drain", "1d"],
  ["help", "?"],
];

describe("frames, kept as they were looked at", () => {
  test.each(SCREENS)("%s at 80x24", async (name, pressed) => {
    await expect(text(after(pressed), { columns: 80, rows: 24 })).toMatchFileSnapshot(
      `screens/${name}-80x24.txt`,
    );
  });

  test.each(SCREENS)("%s at 200x60", async (name, pressed) => {
    await expect(text(after(pressed), { columns: 200, rows: 60 })).toMatchFileSnapshot(
      `screens/${name}-200x60.txt`,
    );
  });

  test("in ASCII", async () => {
    const ascii = text(after(""), { columns: 80, rows: 24, unicode: false });
    await expect(ascii).toMatchFileSnapshot("screens/ascii-80x24.txt");
    // oxlint-disable-next-line no-control-regex -- all of ASCII is meant
    expect(ascii).toMatch(/^[\x00-\x7F]*$/);
  });

  test("while the gateway is away", async () => {
    const away = played(
      [{ kind: "stream-broken", problem: "connection refused", retryInMs: 4000 }],
      after(""),
    ).state;
    await expect(text(away, { columns: 80, rows: 24 })).toMatchFileSnapshot("screens/broken-80x24.txt");
  });

  test("before anything is known", async () => {
    await expect(text(initialTop(NOW_MS), { columns: 80, rows: 24 })).toMatchFileSnapshot(
      "screens/first-80x24.txt",
    );
  });
});

// oxlint-disable-next-line no-control-regex -- styles of a terminal are made of control characters
const widthOf = (line: string): number => Array.from(line.replaceAll(/\u001B\[[0-9;]*m/g, "")).length;

const trimmed = (screen: string): string => screen.replaceAll(/ +$/gm, "");

const SIZES = [20, 40, 57, 66, 80, 100, 120, 149, 150, 200, 320].flatMap((columns) =>
  [3, 10, 15, 24, 61].map((rows) => ({ columns, rows })),
);

describe("whatever the size", () => {
  test.each(SIZES)("$columns x $rows is filled, and nothing is wider", (size) => {
    for (const [, pressed] of SCREENS) {
      for (const colour of [false, true]) {
        const lines = drawn(after(pressed), { ...size, colour });
        expect(lines).toHaveLength(size.rows);
        expect(Math.max(...lines.map(widthOf))).toBeLessThanOrEqual(size.columns);
      }
    }
  });

  test("colours change nothing but colours", () => {
    for (const [, pressed] of SCREENS) {
      const size = { columns: 120, rows: 40 };
      const painted = text(after(pressed), { ...size, colour: true });
      // oxlint-disable-next-line no-control-regex -- styles of a terminal are made of control characters
      const plain = painted.replaceAll(/\u001B\[[0-9;]*m/g, "");
      expect(trimmed(plain)).toBe(trimmed(text(after(pressed), size)));
      expect(text(after(pressed), size)).not.toContain("\u001B");
    }
  });

  test("a page goes no further down than it has lines", () => {
    const { scroll } = topFrame(after("?G"), { columns: 80, rows: 14, colour: false, unicode: true });
    expect(scroll).toBeGreaterThan(0);
    expect(scroll).toBeLessThan(20);
  });

  test("the selected row stays in view", () => {
    const state = after("zG");
    const lines = drawn(state, { columns: 80, rows: 10 });
    expect(lines.filter((line) => line.startsWith("▌"))).toHaveLength(1);
  });
});
