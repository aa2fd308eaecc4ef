import { createHash } from "node:crypto";
import { z } from "zod";
import type { Fleet, KeyBlock } from "../../fleet/schema/fleet-schema.ts";
import { hasSecret, maskSecrets } from "../../fleet/text/mask-secrets.ts";

const settingsSchema = z.record(z.string(), z.unknown());

/**
 * What the files declare, as it may be told to anybody: no hash of a key, no password of a URL. The gateway says in
 * `GET /fleet` what it serves in this form, and a plan compares it with the files. Loose, so that a gateway and a
 * controller of different versions understand each other.
 */
export const declaredFleetSchema = z.object({
  gateway: settingsSchema.default({}),
  eviction: settingsSchema.default({}),
  ledger: settingsSchema.default({}),
  neurons: z.array(z.looseObject({ name: z.string() })).default([]),
  models: z.array(z.looseObject({ id: z.string() })).default([]),
  keys: z.array(z.looseObject({ id: z.string() })).default([]),
  aliases: z.record(z.string(), z.string()).default({}),
});
export type DeclaredFleet = z.infer<typeof declaredFleetSchema>;

/** The same as the gateway serves it. */
export const servedFleetSchema = declaredFleetSchema.extend({
  /** Settings that the environment of the gateway's machine has its own values for: "gateway.listen". */
  overridden: z.array(z.string()).default([]),
});
export type ServedFleet = z.infer<typeof servedFleetSchema>;

export const declaredFleet = (fleet: Fleet): DeclaredFleet => ({
  gateway: fleet.gateway,
  eviction: fleet.eviction,
  ledger: withoutSecrets(fleet.ledger),
  neurons: fleet.neurons.map((block) => withoutSecrets(block)),
  models: fleet.models.map((block) => withoutSecrets(block)),
  keys: fleet.keys.map(withoutHash),
  aliases: fleet.aliases,
});

/** Tells two secrets apart and nothing else: a part of a digest of the hash. */
function withoutHash({ hash, ...key }: KeyBlock): DeclaredFleet["keys"][number] {
  const fingerprint = createHash("sha256").update(`cortex key ${key.id} ${hash}`).digest("hex").slice(0, 8);
  return { ...key, fingerprint };
}

/** The environment may put a password where the files must not have one. */
function withoutSecrets<Table extends Readonly<Record<string, unknown>>>(table: Table): Table {
  const entries = Object.entries(table).map(([key, value]) => [
    key,
    typeof value === "string" && hasSecret(value) ? maskSecrets(value) : value,
  ]);
  return Object.fromEntries(entries) as Table;
}
