import { hashOfSecret } from "../../src/gateway/keys/key-ring.ts";

export const MODEL = "test/tiny";
export const COLD = "test/cold";
export const SECRETS = { load: "sk-cortex-of-the-load", ops: "sk-cortex-of-the-operators" };

/** Two models of one file, and keys with which they are asked for. */
export const filesOf = (
  source: string,
  { replicas, redisUrl }: { readonly replicas: number; readonly redisUrl: string | undefined },
): string => `[[models]]
id = "${MODEL}"
source = "${source}"
replicas = ${replicas}
parallel = 8

[[models]]
id = "${COLD}"
source = "${source}"
parallel = 8

[[keys]]
id = "load"
hash = "${hashOfSecret(SECRETS.load)}"
hard_cap = 1_000_000_000

[[keys]]
id = "ops"
hash = "${hashOfSecret(SECRETS.ops)}"
role = "admin"
${redisUrl === undefined ? "" : `\n[ledger]\nurl = "${redisUrl}"\n`}`;
