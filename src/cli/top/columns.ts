import { paint } from "../print/paint.ts";
import { cutText, widthOf } from "../print/fit-table.ts";
import { glyphs, paintSpan, type FrameLook, type Span } from "./frame-look.ts";

/** Widths do not depend on what stands in the cells, so that nothing moves when it changes. */
export interface Column {
  readonly name: string;
  /** The least where it grows. */
  readonly width: number;
  readonly right?: true;
  /** Columns that matter little give way until it has that width. */
  readonly wish?: number;
  /** Its part of the room that is left. */
  readonly grows?: number;
  /** Not wider than this, however much room there is. */
  readonly most?: number;
  /** Left out where there is no room: the highest first. */
  readonly drop?: number;
}

interface PlacedColumn extends Column {
  readonly at: number;
  readonly actual: number;
}

const GAP = 2;
/** Columns that give way for wishes, and not only where there is no room at all. */
const OF_LITTLE_MATTER = 4;
/** In front of each row: whether it is selected. */
const MARKER = 2;

export function placeColumns(columns: readonly Column[], width: number): readonly PlacedColumn[] {
  const room = width - MARKER;
  let shown = columns.map((column, at) => ({ ...column, at }));
  const needed = (hasWishes: boolean): number =>
    shown.reduce((sum, { width: least, wish }) => sum + ((hasWishes && wish) || least) + GAP, -GAP);
  for (;;) {
    const worst = Math.max(...shown.map(({ drop }) => drop ?? 0));
    if (worst === 0 || needed(worst >= OF_LITTLE_MATTER) <= room) break;
    shown = shown.filter(({ drop }) => (drop ?? 0) !== worst);
  }
  return grown(shown, room - needed(false));
}

function grown(shown: readonly (Column & { readonly at: number })[], left: number): readonly PlacedColumn[] {
  const actual = shown.map(({ width }) => width);
  let rest = left;
  // Room that one column has no use for goes to the others.
  for (let round = 0; round < shown.length && rest > 0; round += 1) {
    const open = shown.map(({ grows = 0, most = Infinity }, at) => ((actual[at] ?? 0) < most ? grows : 0));
    const parts = open.reduce((sum, part) => sum + part, 0);
    if (parts === 0) break;
    const before = rest;
    for (const [at, part] of open.entries()) {
      const wanted = Math.floor((before * part) / parts);
      const given = Math.min(wanted, (shown[at]?.most ?? Infinity) - (actual[at] ?? 0), rest);
      actual[at] = (actual[at] ?? 0) + given;
      rest -= given;
    }
    if (rest === before) break;
  }
  return shown.map((column, at) => ({ ...column, actual: actual[at] ?? column.width }));
}

export function headLine(columns: readonly PlacedColumn[], look: FrameLook): string {
  const cells = columns.map(({ name, actual, right }) => aligned(name, actual, right ?? false));
  return paint(`${" ".repeat(MARKER)}${cells.join(" ".repeat(GAP))}`.trimEnd(), "dim", look.colour);
}

export interface Row {
  /** As many as there are columns, those that are left out included. */
  readonly cells: readonly Span[];
  readonly isSelected: boolean;
}

export function rowLine(
  { cells, isSelected }: Row,
  columns: readonly PlacedColumn[],
  look: FrameLook,
): string {
  const style = isSelected ? "inverse" : undefined;
  const marker = isSelected ? `${glyphs(look).marker} ` : " ".repeat(MARKER);
  const gap = paintSpan({ text: " ".repeat(GAP), style }, look);
  const shown = columns.map(({ at, actual, right }) => {
    const cell = cells[at] ?? { text: "" };
    const wide = widthOf(cell.text);
    // What is painted already has colours of its own, which turned round would say something else.
    if (cell.painted !== undefined && wide <= actual) return cell.painted + " ".repeat(actual - wide);
    const text = aligned(cutText(cell.text, actual, look.unicode), actual, right ?? false);
    return paintSpan({ text, style: style ?? cell.style }, look);
  });
  const line = paintSpan({ text: marker, style: isSelected ? "cyan" : undefined }, look) + shown.join(gap);
  return isSelected ? line : line.trimEnd();
}

function aligned(text: string, width: number, right: boolean): string {
  const padding = " ".repeat(Math.max(0, width - widthOf(text)));
  return right ? padding + text : text + padding;
}
