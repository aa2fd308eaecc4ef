import { expect, test } from "vitest";
import { runGatewayChaos } from "./gateway-chaos.ts";

/** What a client may be told after the first token, while somebody has a hand in everything. */
const TOLD = new Set([
  "worker_crashed",
  "upstream_cut_stream",
  "upstream_connection_error",
  "request_ended_worker",
]);

test("several gateways under chaos: nobody is left without a word, one copy is loaded, and the ledger has what was produced", async () => {
  const figures = await runGatewayChaos({ gateways: 2, neurons: 2, clients: 24, seconds: 6, seed: 5 });
  const { tokensCounted, tokensReceived, tokensUnsure, told, deeds } = figures;
  expect(figures).toMatchObject({
    looksWholeAndIsNot: 0,
    silent: 0,
    copiesOfColdModel: 1,
    stillOutstanding: 0,
  });
  expect(Object.values(deeds).reduce((sum, count) => sum + count, 0)).toBeGreaterThan(0);
  expect(Object.keys(told).filter((code) => !TOLD.has(code))).toEqual([]);
  expect(figures.complete).toBeGreaterThan(figures.requests / 2);
  expect(figures.toldBeforeFirstToken).toEqual({});
  expect(Math.abs(tokensCounted - tokensReceived)).toBeLessThanOrEqual(tokensUnsure);
});
