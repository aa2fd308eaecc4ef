/* A captured terminal (`tmux capture-pane -e`) as an SVG that follows the reader's light or dark. */

interface Style {
  readonly isBold: boolean;
  readonly isDim: boolean;
  readonly isInverse: boolean;
  /** 0 to 15, as terminals number them; null: the terminal's own. */
  readonly ink: number | null;
}

interface Run {
  readonly text: string;
  readonly column: number;
  readonly style: Style;
}

const PLAIN: Style = { isBold: false, isDim: false, isInverse: false, ink: null };

const CELL_WIDTH = 8.4;
const LINE_HEIGHT = 18;
const FONT_SIZE = 14;
const PADDING = 14;
const BAR = 26;

export interface Picture {
  /** What is said to who cannot see it. */
  readonly title: string;
  readonly columns: number;
}

/** Lines with styles in them, as one SVG without anything from elsewhere. */
export function terminalSvg(captured: string, { title, columns }: Picture): string {
  const lines = captured.trimEnd().split("\n");
  const width = Math.ceil(columns * CELL_WIDTH + 2 * PADDING);
  const height = lines.length * LINE_HEIGHT + 2 * PADDING + BAR;
  // tmux says a style once: it holds into the next line.
  let style = PLAIN;
  const body = lines.flatMap((line, row) => {
    const read = runsOf(line, style);
    ({ style } = read);
    return read.runs.map((run) => drawn(run, row));
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" role="img" aria-label="${escaped(title)}">
<title>${escaped(title)}</title>
<style>${STYLES}</style>
<rect class="window" x=".5" y=".5" width="${width - 1}" height="${height - 1}" rx="8"/>
<g class="lights"><circle cx="18" cy="16" r="5"/><circle cx="36" cy="16" r="5"/><circle cx="54" cy="16" r="5"/></g>
<text class="d" x="${width / 2}" y="20" text-anchor="middle">${escaped(title)}</text>
${body.join("\n")}
</svg>
`;
}

const LIGHT = "#24292f;#a40e26;#116329;#7d4e00;#0550ae;#6e3fb8;#0b6a7a;#57606a".split(";");
const DARK = "#d5dbe3;#ff7b72;#56d364;#e3b341;#79c0ff;#d2a8ff;#56d4dd;#8b949e".split(";");
const inks = (colours: readonly string[]): string =>
  colours.map((colour, at) => `.c${at}{fill:${colour}}`).join("");

const STYLES = [
  `text{font:${FONT_SIZE}px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;white-space:pre;fill:#24292f}`,
  ".window{fill:#fff;stroke:#d0d7de}.lights{fill:#d0d7de}.b{font-weight:700}.d{fill:#57606a}.i{fill:#fff}.k{fill:#0550ae}",
  inks(LIGHT),
  "@media(prefers-color-scheme:dark){text{fill:#d5dbe3}.window{fill:#0d1117;stroke:#30363d}.lights{fill:#30363d}.d{fill:#8b949e}.i{fill:#0d1117}.k{fill:#79c0ff}",
  `${inks(DARK)}}`,
].join("");

function drawn({ text, column, style }: Run, row: number): string {
  const x = round(PADDING + column * CELL_WIDTH);
  const top = PADDING + BAR + row * LINE_HEIGHT;
  const width = round(text.length * CELL_WIDTH);
  const place = `x="${x}" y="${round(top + FONT_SIZE)}"`;
  // Whatever font the reader has: each run begins and ends in its columns.
  const fitted = `textLength="${width}" lengthAdjust="spacingAndGlyphs"`;
  const ink = `<text class="${classOf(style)}" ${place} ${fitted}>${escaped(text)}</text>`;
  if (!style.isInverse) return ink;
  return `<rect class="${style.ink === null ? "k" : `c${style.ink % 8}`}" x="${x}" y="${round(top)}" width="${width}" height="${LINE_HEIGHT}"/>${ink}`;
}

function classOf({ isBold, isDim, isInverse, ink }: Style): string {
  const fill = isInverse ? "i" : ink === null ? (isDim ? "d" : "") : `c${ink % 8}`;
  return [fill, isBold ? "b" : ""].filter((name) => name !== "").join(" ");
}

/** Runs of one style; blanks at the ends of runs are left out where nothing is seen of them. */
function runsOf(line: string, before: Style): { readonly runs: readonly Run[]; readonly style: Style } {
  const runs: Run[] = [];
  let style = before;
  let column = 0;
  // oxlint-disable-next-line no-control-regex -- styles of a terminal begin with a control character
  for (const part of line.split(/(\u001B\[[0-9;]*m)/)) {
    // oxlint-disable-next-line no-control-regex -- the same
    const [, codes] = /^\u001B\[([0-9;]*)m$/.exec(part) ?? [];
    if (codes !== undefined) {
      style = styled(style, codes.split(";").map(Number));
      continue;
    }
    if (style.isInverse) runs.push({ text: part, column, style });
    // Two blanks part what stands in columns of its own.
    else
      for (const piece of part.matchAll(/\S+(?: \S+)*/g))
        runs.push({ text: piece[0], column: column + piece.index, style });
    column += part.length;
  }
  return { runs: runs.filter(({ text }) => text !== ""), style };
}

function styled(before: Style, codes: readonly number[]): Style {
  let style = before;
  for (const code of codes.length === 0 ? [0] : codes) style = { ...style, ...changeOf(code) };
  return style;
}

function changeOf(code: number): Partial<Style> {
  if (code === 0) return PLAIN;
  if (code === 1) return { isBold: true };
  if (code === 2) return { isDim: true };
  if (code === 7) return { isInverse: true };
  if (code === 22) return { isBold: false, isDim: false };
  if (code === 27) return { isInverse: false };
  if (code === 39) return { ink: null };
  if (code >= 30 && code <= 37) return { ink: code - 30 };
  return code >= 90 && code <= 97 ? { ink: code - 82 } : {};
}

const round = (value: number): number => Math.round(value * 10) / 10;

const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
