import { expect, test } from "vitest";
import { RULES } from "../../../src/client/grammar/rules.ts";
import { CONFORM_DIALECTS, type ConformDialectName } from "../../../src/client/conform/dialects.ts";
import { runConform } from "../../../src/client/conform/io/run-conform.ts";
import type { ConformReport } from "../../../src/client/conform/conform-report.ts";
import type { Clock } from "../../../src/core/clock.ts";
import { PLANTED } from "./planted-faults.ts";
import { REFERENCE_MODEL, startReference, type Fault } from "./reference-server.ts";

/** Real time, on top of which the server can put silence; nothing but the leaving of clients rings. */
class JumpingClock implements Clock {
  #jumpedMs = 0;

  jump(ms: number): void {
    this.#jumpedMs += ms;
  }

  nowMs(): number {
    return this.monotonicMs();
  }

  monotonicMs(): number {
    return performance.now() + this.#jumpedMs;
  }

  sleep(): Promise<void> {
    return Promise.reject(new Error("nothing sleeps here"));
  }

  alarm(durationMs: number, ring: () => void): () => void {
    if (durationMs > 1000) return () => undefined;
    const timer = setTimeout(ring, 20);
    return () => {
      clearTimeout(timer);
    };
  }
}

async function conform(dialect: ConformDialectName, fault: Fault): Promise<ConformReport> {
  const clock = new JumpingClock();
  await using server = await startReference(dialect, fault, (ms) => {
    clock.jump(ms);
  });
  return await runConform({
    baseUrl: server.url,
    dialect,
    model: REFERENCE_MODEL,
    cold: undefined,
    contextTokens: undefined,
    scope: "all" as const,
    apiKey: undefined,
    clock,
    timeoutMs: 60_000,
    signal: new AbortController().signal,
    onStep: () => undefined,
  });
}

const named = (report: ConformReport, outcome: string): string[] =>
  report.rules.flatMap((one) => (one.outcome === outcome ? [one.rule] : []));

test.each(Object.keys(CONFORM_DIALECTS) as ConformDialectName[])(
  "%s: a server that is right conforms, and all but a failure is seen",
  async (dialect) => {
    const report = await conform(dialect, {});
    expect(report.steps.flatMap(({ breaches }) => breaches)).toEqual([]);
    expect(report.conforms).toBe(true);
    // A stranger cannot be made to fail.
    expect(named(report, "not-seen")).toEqual(["error-then-broken"]);
  },
);

test.each(PLANTED)("$rule: $dialect, $what", async ({ rule, dialect, fault }) => {
  const report = await conform(dialect, fault);
  expect(report.conforms).toBe(false);
  expect(named(report, "broken")).toContain(rule);
});

test("every rule has a planted breach, in a dialect that has the rule", () => {
  const planted = new Set(PLANTED.map(({ rule }) => rule));
  expect(Object.keys(RULES).filter((rule) => !planted.has(rule as keyof typeof RULES))).toEqual([]);
});

test("a server that is not there is an error of its own, not a finding", async () => {
  const gone = await startReference("openai", {}, () => undefined);
  await gone[Symbol.asyncDispose]();
  const options = {
    baseUrl: gone.url,
    dialect: "openai" as const,
    model: undefined,
    cold: undefined,
    contextTokens: undefined,
    scope: "all" as const,
    apiKey: undefined,
    clock: new JumpingClock(),
    timeoutMs: 60_000,
    signal: new AbortController().signal,
    onStep: () => undefined,
  };
  await expect(runConform(options)).rejects.toMatchObject({ code: "upstream_connection_error" });
});
