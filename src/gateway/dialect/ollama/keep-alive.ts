import { CortexError } from "../../../core/errors.ts";

const UNITS_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

const DURATION = /^[+-]?(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+$/;
const PART = /(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g;
const BARE = /^[+-]?\d+(?:\.\d+)?$/;

/**
 * How long a client wishes a model to stay after its request: seconds, or a duration as Go writes it; below zero as long
 * as possible. Undefined where nothing is wished.
 */
export function keepMsOf(keepAlive: number | string | null | undefined): number | undefined {
  if (keepAlive == null || keepAlive === "") return undefined;
  if (typeof keepAlive === "number") return wished(keepAlive * 1000);
  if (BARE.test(keepAlive)) return wished(Number(keepAlive) * 1000);
  if (!DURATION.test(keepAlive)) {
    throw new CortexError("invalid_request_body", "`keep_alive` is neither seconds nor a duration", {
      param: "keep_alive",
      next: 'write seconds, as 300, or a duration, as "5m"; -1 keeps the model as long as possible',
    });
  }
  const parts = [...keepAlive.matchAll(PART)];
  const ms = parts.reduce((sum, [, count, unit]) => sum + Number(count) * (UNITS_MS[unit ?? ""] ?? 0), 0);
  return wished(keepAlive.startsWith("-") ? -ms : ms);
}

const wished = (ms: number): number => (ms < 0 ? Infinity : ms);
