import type { KeyRing } from "./key-ring.ts";
import type { UsageLedger } from "./usage-ledger.ts";

/** What a key may spend in its window, and what it has spent and reserved of it. */
export interface BudgetReading {
  readonly key: string;
  readonly budgetTokens: number;
  readonly usedTokens: number;
}

/** Of the keys whose tokens are limited; one that the ledger cannot tell of now is left out. */
export async function budgetReadings(
  { principals }: Pick<KeyRing, "principals">,
  ledger: Pick<UsageLedger, "standing">,
  nowMs: number,
): Promise<readonly BudgetReading[]> {
  const readings = await Promise.all(
    principals.map(async ({ id, limits }): Promise<readonly BudgetReading[]> => {
      if (limits?.tokens == null) return [];
      try {
        const { spentTokens, reservedTokens } = await ledger.standing(id, limits, nowMs);
        const { hardCap: budgetTokens } = limits.tokens;
        return [{ key: id, budgetTokens, usedTokens: spentTokens + reservedTokens }];
      } catch {
        return [];
      }
    }),
  );
  return readings.flat();
}
