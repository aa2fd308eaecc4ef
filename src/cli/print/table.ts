/** A number, with its unit where it has one. A time, a date or an id begins with a digit too, and is read from the left. */
const FIGURE = /^(?:-|[+-]?\d+(?:[.,]\d+)*(?: ?(?:%|[kKMGT]?i?B|ms|s|min|h|d|tok\/s))?)?$/;

/** Columns as wide as their widest cell, two blanks apart; columns of figures stand to the right. */
export function tableText(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((name, column) =>
    Math.max(name.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const numeric = head.map(
    (_name, column) =>
      rows.some((row) => (row[column] ?? "") !== "") && rows.every((row) => FIGURE.test(row[column] ?? "")),
  );
  return [head, ...rows]
    .map((row) =>
      row
        .map((cell, column) => {
          const width = widths[column] ?? 0;
          return numeric[column] === true ? cell.padStart(width) : cell.padEnd(width);
        })
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
