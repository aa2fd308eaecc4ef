import { paint, type Paint } from "../print/paint.ts";
import { cutText, widthOf } from "../print/fit-table.ts";

/** What a frame is drawn for. */
export interface FrameLook {
  readonly columns: number;
  readonly rows: number;
  readonly colour: boolean;
  readonly unicode: boolean;
}

/** A piece of a line with its style; its width is that of its text. */
export interface Span {
  readonly text: string;
  readonly style?: Paint | undefined;
  /** The same text in several styles: drawn as it is. */
  readonly painted?: string | undefined;
}

/** What stands for what is not there in ASCII. */
export const glyphs = ({ unicode }: Pick<FrameLook, "unicode">) =>
  unicode
    ? {
        rule: "─",
        wall: "│",
        dot: "●",
        ring: "○",
        marker: "▌",
        up: "↑↓",
        enter: "⏎",
        sides: "←→",
        ellipsis: "…",
      }
    : {
        rule: "-",
        wall: "|",
        dot: "*",
        ring: "o",
        marker: ">",
        up: "up/down",
        enter: "enter",
        sides: "left/right",
        ellipsis: "~",
      };

const widthOfSpans = (spans: readonly Span[]): number =>
  spans.reduce((sum, { text }) => sum + widthOf(text), 0);

export const paintSpan = ({ text, style, painted }: Span, { colour }: Pick<FrameLook, "colour">): string =>
  painted ?? (style === undefined ? text : paint(text, style, colour));

/** Spans side by side, cut at the width. */
export function spanLine(spans: readonly Span[], width: number, look: FrameLook): string {
  let room = width;
  let line = "";
  for (const span of spans) {
    if (room <= 0) break;
    const wide = widthOf(span.text);
    if (wide <= room) line += paintSpan(span, look);
    else line += paintSpan({ text: cutText(span.text, room, look.unicode), style: span.style }, look);
    room -= wide;
  }
  return line;
}

/** What stands to the left, and as much of what stands to the right as has room, the first of it longest. */
// oxlint-disable-next-line max-params -- left, right, and where
export function edgedLine(
  left: readonly Span[],
  right: readonly (readonly Span[])[],
  look: FrameLook,
): string {
  const room = look.columns - widthOfSpans(left) - 1;
  let shown = right;
  const widthShown = (): number => shown.reduce((sum, group) => sum + widthOfSpans(group) + 3, 0);
  while (shown.length > 0 && widthShown() > room) shown = shown.slice(0, -1);
  const gap = Math.max(1, room - widthShown() + 3);
  const groups = shown.flatMap((group, at) => [{ text: " ".repeat(at === 0 ? gap : 3) }, ...group]);
  return spanLine([...left, ...groups], look.columns, look);
}

/** "── models 12 ──────── by state ──": the top of a pane. */
export function ruleLine(
  title: { readonly name: string; readonly isFocused: boolean; readonly notes: readonly string[] },
  width: number,
  look: FrameLook,
): string {
  const { rule } = glyphs(look);
  const { name, isFocused, notes } = title;
  const head = ` ${name} `;
  let shown = notes.filter((note) => note !== "");
  const tailOf = (): string => shown.map((note) => ` ${note} ${rule}`).join("");
  while (shown.length > 0 && widthOf(head) + widthOf(tailOf()) + 6 > width) shown = shown.slice(1);
  const tail = tailOf();
  const middle = rule.repeat(Math.max(0, width - widthOf(head) - widthOf(tail) - 2));
  return spanLine(
    [
      { text: rule.repeat(2), style: isFocused ? "cyan" : "dim" },
      { text: head, style: isFocused ? "bold" : undefined },
      { text: middle + tail, style: isFocused ? "cyan" : "dim" },
    ],
    width,
    look,
  );
}
