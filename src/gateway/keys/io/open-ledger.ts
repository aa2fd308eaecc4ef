import type { Clock } from "../../../core/clock.ts";
import type { Fleet } from "../../../fleet/schema/fleet-schema.ts";
import type { Logger } from "../../../platform/logger.ts";
import type { UsageLedger } from "../usage-ledger.ts";
import { IN_MEMORY, SqliteLedger } from "./sqlite-ledger.ts";

/** Redis where the fleet files name one, else the file, else memory. The client of Redis is loaded only then. */
export async function openLedger(
  { fleet, path }: { readonly fleet: Fleet; readonly path: string | undefined },
  deps: { readonly clock: Clock; readonly logger: Logger },
): Promise<UsageLedger> {
  const { url } = fleet.ledger;
  if (url === undefined) return new SqliteLedger({ path: path ?? IN_MEMORY, keys: fleet.keys }, deps);
  const { RedisLedger } = await import("./redis-ledger.ts");
  return RedisLedger.connect({ url, fleetName: fleet.fleet.name, keys: fleet.keys }, deps);
}
