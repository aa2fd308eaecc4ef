import { isLoopback, parseHostAndPort } from "../../core/addresses.ts";
import { matchesPattern } from "../../fleet/schema/model-pattern.ts";
import type { BlockChange } from "./block-change.ts";

type Field = BlockChange["fields"][number];

/** Whether anybody reaches more than before. */
export function isExposure({ table, kind, fields }: BlockChange): boolean {
  if (table === "gateway") return fields.some(opensAddress);
  if (table !== "keys" || kind === "removed") return false;
  return kind === "added" || fields.some(widensKey);
}

/** From this machine alone to others. */
const opensAddress = ({ key, from, to }: Field): boolean =>
  (key === "listen" || key === "metrics_listen") &&
  to !== null &&
  isOpen(to) &&
  (from === null || !isOpen(from));

export const isOpen = (address: string): boolean => !isLoopback(parseHostAndPort(address).host);

function widensKey({ key, from, to }: Field): boolean {
  if (key === "models") return patternsOf(to).some((pattern) => !covers(patternsOf(from), pattern));
  if (key === "hard_cap") return from !== null && (to === null || Number(to) > Number(from));
  return key === "window.kind" || key === "window.seconds" ? to !== null : false;
}

/** The patterns of `[a, b]`. */
export const patternsOf = (list: string | null): string[] =>
  (list ?? "")
    .replaceAll(/^\[|\]$/g, "")
    .split(", ")
    .filter((pattern) => pattern !== "");

/** Whether whatever matches the pattern matches one of the others; in doubt it does not. */
export const covers = (patterns: readonly string[], pattern: string): boolean =>
  patterns.some(
    (other) =>
      other === pattern ||
      // A star takes another pattern's signs as they are, and a question mark must not take a star.
      ((!other.includes("?") || !/[*?]/.test(pattern)) && matchesPattern(other, pattern)),
  );
