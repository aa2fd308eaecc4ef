import type { KeyPath } from "../../core/key-path.ts";

/** Units that people write, by the unit that a key's name says it counts in. */
const UNITS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  // Cards and files are sold and shown in decimal GB; nvidia-smi's and Kubernetes' MiB and GiB say so themselves.
  mb: { mb: 1, mib: 1, m: 1, gb: 1000, g: 1000, gib: 1024, gi: 1024, mi: 1, tb: 1_000_000, tib: 1_048_576 },
  // oxfmt-ignore
  secs: {
    ms: 0.001, s: 1, sec: 1, secs: 1, second: 1, seconds: 1, m: 60, min: 60, mins: 60, minute: 60, minutes: 60,
    h: 3600, hour: 3600, hours: 3600, d: 86_400, day: 86_400, days: 86_400,
  },
  percent: { "%": 1, percent: 1 },
  // A context of "32k" is 32768 wherever models are described; a budget of "5M" is five million.
  context: { k: 1024, m: 1_048_576, tokens: 1, ki: 1024 },
  amount: { k: 1000, m: 1_000_000, b: 1_000_000_000, g: 1_000_000_000, tokens: 1, $: 1, usd: 1, x: 1 },
};

const IN_WORDS: Readonly<Record<string, string>> = {
  mb: "in MB",
  secs: "in seconds",
  context: "in tokens",
};

/** What a key counts in, by its name; keys without a unit in their name count plainly. */
function unitOf(path: KeyPath): string {
  const key = String(path.at(-1));
  if (key.endsWith("_mb")) return "mb";
  if (key.endsWith("_secs") || key === "seconds") return "secs";
  if (key.endsWith("_percent")) return "percent";
  return key === "context" || path.at(-2) === "limit" ? "context" : "amount";
}

const QUANTITY = /^\s*(\$)?\s*(\d[\d_,']*(?:\.\d+)?)\s*(%|[A-Za-z]+)?\s*$/;

/** What "24GB", "15m", "32k" or "5,000,000" comes to in the unit of the key; undefined for what is no quantity. */
export function readQuantity(
  path: KeyPath,
  text: string,
): { readonly value: number; readonly how: string } | undefined {
  const [, dollar, digits = "", suffix] = QUANTITY.exec(text) ?? [];
  const written = suffix ?? dollar;
  const unit = unitOf(path);
  const factor = written === undefined ? 1 : UNITS[unit]?.[written.toLowerCase()];
  if (digits === "" || factor === undefined) return undefined;
  const value = Number(digits.replaceAll(/[_,']/g, "")) * factor;
  // Sums such as 1.1 * 1000 are meant to be whole.
  return { value: Number(value.toPrecision(12)), how: IN_WORDS[unit] ?? "the number alone" };
}
