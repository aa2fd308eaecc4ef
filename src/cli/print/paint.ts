const CODES = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
  inverse: [7, 27],
} as const;

export type Paint = keyof typeof CODES;

/** Wraps text in an ANSI style when colours are wanted. */
export function paint(text: string, style: Paint, colour: boolean): string {
  if (!colour) return text;
  const [open, close] = CODES[style];
  return `\u001B[${open}m${text}\u001B[${close}m`;
}
