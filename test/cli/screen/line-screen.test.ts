import { expect, test } from "vitest";
import { LineScreen, type TerminalSize } from "../../../src/cli/screen/line-screen.ts";

function screenOf(size: TerminalSize) {
  const written: string[] = [];
  const current = { ...size };
  const screen = new LineScreen({ write: (text) => void written.push(text), size: () => ({ ...current }) });
  return { screen, written, current };
}

test("only lines that are different are written", () => {
  const { screen, written } = screenOf({ columns: 10, rows: 3 });
  screen.open();
  screen.draw(["a", "b", "c"]);
  screen.draw(["a", "B", "c"]);
  screen.draw(["a", "B", "c"]);
  expect(written.slice(1)).toEqual([
    "\u001B[?2026h\u001B[1;1Ha\u001B[K\u001B[2;1Hb\u001B[K\u001B[3;1Hc\u001B[K\u001B[?2026l",
    "\u001B[?2026h\u001B[2;1HB\u001B[K\u001B[?2026l",
  ]);
});

test("a line that fills the terminal keeps its last character, styles have no width", () => {
  const { screen, written } = screenOf({ columns: 3, rows: 1 });
  screen.open();
  screen.draw(["\u001B[1mabc\u001B[22m"]);
  expect(written[1]).toBe("\u001B[?2026h\u001B[1;1H\u001B[1mabc\u001B[22m\u001B[?2026l");
});

test("lines that are gone are cleared, and another size draws everything anew", () => {
  const { screen, written, current } = screenOf({ columns: 10, rows: 3 });
  screen.open();
  screen.draw(["a", "b"]);
  screen.draw(["a"]);
  expect(written[2]).toBe("\u001B[?2026h\u001B[2;1H\u001B[K\u001B[?2026l");
  current.columns = 20;
  screen.draw(["a"]);
  expect(written[3]).toBe("\u001B[?2026h\u001B[2J\u001B[1;1Ha\u001B[K\u001B[?2026l");
});

test("the terminal is left as it was, once", () => {
  const { screen, written } = screenOf({ columns: 10, rows: 3 });
  screen.open();
  screen.close();
  screen.close();
  screen.draw(["late"]);
  expect(written).toEqual([
    "\u001B[?1049h\u001B[?25l\u001B[?7l\u001B[2J",
    "\u001B[?7h\u001B[?25h\u001B[?1049l",
  ]);
});
