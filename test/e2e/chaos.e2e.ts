import { expect, test } from "vitest";
import { runChaos } from "../chaos/chaos-run.ts";

/** What a client may be told while workers and neurons are killed under it. */
const TOLD = new Set([
  "worker_crashed",
  "upstream_cut_stream",
  "upstream_connection_error",
  // By a kill from outside a request that was alone with its worker looks like the cause.
  "request_ended_worker",
]);

test("while workers and neurons are killed, no answer looks whole that is not, and nobody is left without a word", async () => {
  const figures = await runChaos({ neurons: 2, clients: 8, seconds: 10, seed: 3 });
  const { deaths, told, tokensCounted, tokensReceived } = figures;
  const toldInAll = Object.values(told).reduce((sum, count) => sum + count, 0);
  expect(figures).toMatchObject({ looksWholeAndIsNot: 0, silent: 0, stillOutstanding: 0 });
  expect(deaths.workers + deaths.neurons).toBeGreaterThan(0);
  expect(figures.complete).toBeGreaterThan(toldInAll);
  expect(Object.keys(told).filter((code) => !TOLD.has(code))).toEqual([]);
  // Of a stream that was cut its events are counted, which are a token each but for the first and the last.
  expect(tokensCounted - tokensReceived).toBeGreaterThanOrEqual(0);
  expect(tokensCounted - tokensReceived).toBeLessThanOrEqual(2 * toldInAll);
});
