/** "950", "12.3k", "4.5M": short, for numbers that are glanced at. */
export function countText(count: number): string {
  if (count < 1000) return String(Math.round(count * 10) / 10);
  if (count < 999_950) return `${threeDigits(count / 1000)}k`;
  return `${threeDigits(count / 1_000_000)}M`;
}

const threeDigits = (value: number): string =>
  value >= 100 ? String(Math.round(value)) : String(Math.round(value * 10) / 10);

/** "1 model", "2 models". */
export const counted = (count: number, one: string, more = `${one}s`): string =>
  `${count} ${count === 1 ? one : more}`;

export const percentText = (part: number): string => `${Math.round(part * 100)} %`;
