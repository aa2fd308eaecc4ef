/** The flag `--workers`: a count, or `auto`. */
export const MOST_WORKERS = 64;

/** Each takes memory, and no gateway of models needs more: what more of them give was not measured. */
const MOST_BY_ITSELF = 8;

/** Null for what is none. */
export function crewSize(text: string, cores: number): number | null {
  if (text === "auto") return Math.max(1, Math.min(MOST_BY_ITSELF, cores));
  const count = /^[1-9]\d?$/.test(text) ? Number(text) : 0;
  return count >= 1 && count <= MOST_WORKERS ? count : null;
}
