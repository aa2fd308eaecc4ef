const EIGHTHS = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/** A bar of `width` columns, filled from the left; of plain characters where the terminal has no others. */
export function bar(fraction: number, width: number, unicode: boolean): string {
  const filled = Math.min(1, Math.max(0, fraction)) * width;
  const whole = Math.floor(filled);
  if (!unicode) return "#".repeat(whole).padEnd(width, "-");
  const part = EIGHTHS[Math.floor((filled - whole) * EIGHTHS.length)] ?? "";
  return `${"█".repeat(whole)}${part}`.padEnd(width, "░");
}
