import { paint, type Paint } from "./paint.ts";

export interface TableColumn {
  readonly name: string;
  readonly right?: true;
  /** May be cut down to this many characters where the table is too wide. */
  readonly least?: number;
  /** Left out where the table is too wide even so: the highest first. Without it the column always stays. */
  readonly drop?: number;
}

export interface TableCell {
  readonly text: string;
  readonly style?: Paint | undefined;
}

export interface TableLook {
  readonly colour: boolean;
  /** Width of the terminal; undefined: nothing is cut or left out. */
  readonly columns?: number | undefined;
  readonly unicode?: boolean | undefined;
}

const GAP = 2;

/** A table that fits the terminal: columns that matter least are left out, then long cells are cut. */
export function fitTable(
  columns: readonly TableColumn[],
  rows: readonly (readonly TableCell[])[],
  look: TableLook,
): string {
  return tableLines(columns, rows, look).join("\n");
}

/** The lines of the same, the head first. */
export function tableLines(
  columns: readonly TableColumn[],
  rows: readonly (readonly TableCell[])[],
  look: TableLook,
): string[] {
  const natural = columns.map(({ name }, at) =>
    Math.max(name.length, ...rows.map((row) => widthOf(row[at]?.text ?? ""))),
  );
  const shown = shownColumns(columns, natural, look.columns);
  const widths = fittedWidths(shown, { columns, natural, room: look.columns });
  const line = (cells: readonly TableCell[]): string =>
    shown
      .map((at, position) => {
        const cell = cells[at] ?? { text: "" };
        const width = widths[position] ?? 0;
        const text = cutText(cell.text, width, look.unicode ?? true);
        const padding = " ".repeat(width - widthOf(text));
        const painted = cell.style === undefined ? text : paint(text, cell.style, look.colour);
        if (columns[at]?.right === true) return padding + painted;
        return position === shown.length - 1 ? painted : painted + padding;
      })
      .join(" ".repeat(GAP))
      .trimEnd();
  const head = columns.map(({ name }): TableCell => ({ text: name, style: "dim" }));
  return [head, ...rows].map(line);
}

const leastWidth = ({ least, name }: TableColumn, natural: number): number =>
  least === undefined ? natural : Math.min(natural, Math.max(least, name.length));

/** Indices of the columns that stay. */
function shownColumns(
  columns: readonly TableColumn[],
  natural: readonly number[],
  room: number | undefined,
): readonly number[] {
  let shown = columns.map((_column, at) => at);
  if (room === undefined) return shown;
  const needed = (): number =>
    shown.reduce(
      (total, at) => total + leastWidth(columns[at] ?? { name: "" }, natural[at] ?? 0) + GAP,
      -GAP,
    );
  while (needed() > room) {
    const droppable = shown
      .filter((at) => columns[at]?.drop !== undefined)
      .toSorted((one, other) => (columns[other]?.drop ?? 0) - (columns[one]?.drop ?? 0));
    const [first] = droppable;
    if (first === undefined) break;
    shown = shown.filter((at) => at !== first);
  }
  return shown;
}

/** What is missing is taken from the widest column that may be cut, character by character. */
function fittedWidths(
  shown: readonly number[],
  table: {
    readonly columns: readonly TableColumn[];
    readonly natural: readonly number[];
    readonly room: number | undefined;
  },
): number[] {
  const widths = shown.map((at) => table.natural[at] ?? 0);
  if (table.room === undefined) return widths;
  let excess = widths.reduce((total, width) => total + width + GAP, -GAP) - table.room;
  while (excess > 0) {
    let widest = -1;
    for (const [position, at] of shown.entries()) {
      const column = table.columns[at] ?? { name: "" };
      const width = widths[position] ?? 0;
      if (width > leastWidth(column, table.natural[at] ?? 0) && width > (widths[widest] ?? 0))
        widest = position;
    }
    if (widest < 0) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
    excess -= 1;
  }
  return widths;
}

export const widthOf = (text: string): number => (isAscii(text) ? text.length : Array.from(text).length);

// oxlint-disable-next-line no-control-regex -- all of ASCII is meant
const isAscii = (text: string): boolean => /^[\x00-\x7F]*$/.test(text);

/** Cut at the end, with a mark that something is missing. */
export function cutText(text: string, width: number, unicode: boolean): string {
  if (widthOf(text) <= width) return text;
  if (width <= 0) return "";
  const kept = isAscii(text)
    ? text.slice(0, width - 1)
    : Array.from(text)
        .slice(0, width - 1)
        .join("");
  return `${kept}${unicode ? "…" : "~"}`;
}
