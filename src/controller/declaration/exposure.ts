import { isLoopback, parseHostAndPort } from "../../core/addresses.ts";
import { matchesPattern } from "../../fleet/schema/model-pattern.ts";
import type { BlockChange } from "./block-change.ts";
import type { Declaration } from "./declaration.ts";

type Field = BlockChange["fields"][number];

/** Whether anybody reaches more than before. */
export function isExposure({ table, kind, fields }: BlockChange, to: Declaration): boolean {
  if (table === "gateway") return fields.some((field) => opensAddress(field) || opensToAnybody(field));
  if (table !== "keys") return false;
  // Without any key nobody is asked for one.
  if (kind === "removed") return (to.tables.get("keys")?.size ?? 0) === 0;
  return kind === "added" || fields.some(widensKey);
}

/** From this machine alone to others. */
const opensAddress = ({ key, from, to }: Field): boolean =>
  (key === "listen" || key === "metrics_listen") &&
  to !== null &&
  isOpen(to) &&
  (from === null || !isOpen(from));

const opensToAnybody = ({ key, to }: Field): boolean => key === "allow_anonymous" && to === "true";

export const isOpen = (address: string): boolean => !isLoopback(parseHostAndPort(address).host);

const CAPS: ReadonlySet<string> = new Set(["hard_cap", "requests_per_minute", "parallel_requests"]);

function widensKey({ key, from, to }: Field): boolean {
  if (key === "models") return patternsOf(to).some((pattern) => !covers(patternsOf(from), pattern));
  if (key === "role") return to === "admin";
  if (CAPS.has(key)) return from !== null && (to === null || Number(to) > Number(from));
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
