/** Of one server with one model, one length of prompts and one number of streams; the middle of all rounds. */
export interface MeasuredCell {
  readonly server: string;
  readonly words: number;
  readonly streams: number;
  /** Of all streams, from the first question to the last answer. */
  readonly tokensPerSecond: number;
  /** The same behind the first token of each. */
  readonly decodePerSecond: number;
  readonly firstTokenMs: number;
  /** To the first token of a prompt that begins with the one before. */
  readonly secondTurnMs: number;
  readonly cpuMsPerToken: number;
  /** Of all processes, and of the one that holds the model. */
  readonly memoryMib: number;
  readonly largestMib: number;
}

export const FIGURES = [
  "tokensPerSecond",
  "decodePerSecond",
  "firstTokenMs",
  "secondTurnMs",
  "cpuMsPerToken",
  "memoryMib",
  "largestMib",
] as const;

export type Figure = (typeof FIGURES)[number];

const COLUMNS: readonly (readonly [title: string, figure: Figure, digits: number])[] = [
  ["tok/s", "tokensPerSecond", 1],
  ["decode/s", "decodePerSecond", 1],
  ["TTFT ms", "firstTokenMs", 0],
  ["2nd turn", "secondTurnMs", 0],
  ["CPU ms/tok", "cpuMsPerToken", 2],
  ["MiB", "memoryMib", 0],
  ["of model", "largestMib", 0],
];
const WIDTH = 11;
const NAME_WIDTH = 25;

export function cellTable(cells: readonly MeasuredCell[]): readonly string[] {
  const titles = COLUMNS.map(([title]) => title.padStart(WIDTH)).join("");
  return [
    `words streams ${"server".padEnd(NAME_WIDTH)}${titles}`,
    ...cells.map((cell) => {
      const figures = COLUMNS.map(([, figure, digits]) => cell[figure].toFixed(digits).padStart(WIDTH));
      const place = `${String(cell.words).padStart(5)} ${String(cell.streams).padStart(7)}`;
      return `${place} ${cell.server.padEnd(NAME_WIDTH)}${figures.join("")}`;
    }),
  ];
}

interface Bar {
  readonly what: string;
  readonly figure: Figure;
  /** Cells that it is asked of. */
  readonly streams?: number;
  /** Of the other server's figure. */
  readonly least?: number;
  readonly most?: number;
}

const BARS: readonly Bar[] = [
  { what: "decode, 1 stream, at least 1.00 x", figure: "decodePerSecond", streams: 1, least: 1 },
  { what: "decode, 8 streams, at least 0.95 x", figure: "decodePerSecond", streams: 8, least: 0.95 },
  { what: "time to the first token, at most 1.05 x", figure: "firstTokenMs", most: 1.05 },
  { what: "the same from the cache, at most 1.05 x", figure: "secondTurnMs", most: 1.05 },
  { what: "memory of the model's process, at most 1.20 x", figure: "largestMib", most: 1.2 },
  { what: "memory of all processes, at most 1.20 x", figure: "memoryMib", most: 1.2 },
];

/** A cell of cortex and that of llama-server with the same threads. */
export interface ComparedCell {
  readonly name: string;
  readonly cortex: MeasuredCell;
  readonly llama: MeasuredCell;
}

/** A line for each bar: met, or missed where and by how much. */
export function verdicts(cells: readonly ComparedCell[]): readonly string[] {
  return BARS.map(({ what, figure, streams, least, most }) => {
    const asked = cells.filter(({ cortex }) => streams === undefined || cortex.streams === streams);
    const ratios = asked.map(({ name, cortex, llama }) => ({ name, ratio: cortex[figure] / llama[figure] }));
    const missed = ratios.filter(({ ratio }) => ratio < (least ?? 0) || ratio > (most ?? Infinity));
    const told = missed.map(({ name, ratio }) => `${name} ${ratio.toFixed(2)}`).join(", ");
    if (asked.length === 0) return `${what}: not measured`;
    if (missed.length === 0) return `${what}: met in all ${asked.length}`;
    return `${what}: missed in ${missed.length} of ${asked.length}: ${told}`;
  });
}
