/* oxlint-disable no-control-regex -- styles of a terminal are made of control characters */
/** A style as a terminal takes it: it has no width. */
const STYLE = /\u001B\[[0-9;]*m/g;

/** Narrower than this every line would be a word. */
const LEAST_COLUMNS = 40;
const HANGING = 2;

/** Source lines with the mark below them: a break would take them apart. */
const SOURCE = /^\s*\d* *\| /;

/**
 * Text broken at the width of a terminal, between words: what goes on stands two columns deeper than where its line
 * began. Words that are too long, addresses for one, are left whole, so that they can be copied. Without a width (no
 * terminal) nothing is broken: programs and logs read lines.
 */
export function wrapText(text: string, columns: number | undefined): string {
  if (columns === undefined || columns < LEAST_COLUMNS) return text;
  return text
    .split("\n")
    .map((line) => wrapLine(line, columns))
    .join("\n");
}

function wrapLine(line: string, columns: number): string {
  if (widthOf(line) <= columns || SOURCE.test(line.replaceAll(STYLE, ""))) return line;
  const indent = /^ */.exec(line.replaceAll(STYLE, ""))?.[0] ?? "";
  const hanging = `${indent}${" ".repeat(HANGING)}`;
  const [first = "", ...rest] = line.split(/(?<=\S) (?=\S)/);
  const lines = [first];
  for (const word of rest) {
    const current = lines.at(-1) ?? "";
    if (widthOf(current) + 1 + widthOf(word) <= columns) lines[lines.length - 1] = `${current} ${word}`;
    else lines.push(`${hanging}${word}`);
  }
  return lines.join("\n");
}

const widthOf = (text: string): number => Array.from(text.replaceAll(STYLE, "")).length;
