import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { CortexError, systemErrorCode } from "../../../core/errors.ts";
import { parseJson } from "../../../core/json.ts";
import { replaceDurably } from "../../../platform/replace-durably.ts";
import {
  leaseSwapSchema,
  neuronLeaseSchema,
  type LeaseAnswer,
  type LeaseSwap,
  type NeuronLease,
} from "../../../protocol/refs/neuron-lease.ts";

/**
 * The leases that this neuron keeps for whoever applies, one for each fleet, over restarts: a neuron that forgot one could
 * give it to two. It judges nobody: that a holder is gone is for those to find out who want the lease.
 */
export class LeaseRegister {
  readonly #path: string | null;
  readonly #leases: Map<string, NeuronLease>;
  #swaps: Promise<unknown> = Promise.resolve();

  private constructor(path: string | null, leases: readonly NeuronLease[]) {
    this.#path = path;
    this.#leases = new Map(leases.map((lease) => [lease.fleet, lease]));
  }

  static async open(directory: string | undefined): Promise<LeaseRegister> {
    if (directory === undefined) return new LeaseRegister(null, []);
    const path = join(directory, "leases.json");
    return new LeaseRegister(path, await readLeases(path));
  }

  all(): NeuronLease[] {
    return [...this.#leases.values()];
  }

  of(fleet: string): NeuronLease {
    return this.#leases.get(fleet) ?? { fleet, token: null, record: null, last_epoch: 0 };
  }

  /** One after another: a lease is on disk before anybody is told that it is taken. */
  swap(fleet: string, swap: LeaseSwap): Promise<LeaseAnswer> {
    const done = this.#swaps.then(() => this.#swap(fleet, swap));
    this.#swaps = done.catch(() => undefined);
    return done;
  }

  async #swap(fleet: string, swap: LeaseSwap): Promise<LeaseAnswer> {
    const { expected, token, record, last_epoch } = leaseSwapSchema.parse(swap);
    const lease = this.of(fleet);
    if (lease.token !== expected) return { taken: false, lease };
    const next = { fleet, token, record, last_epoch: Math.max(lease.last_epoch, last_epoch) };
    const leases = new Map([...this.#leases, [fleet, next]]);
    if (this.#path !== null) await replaceDurably(this.#path, `${JSON.stringify([...leases.values()])}\n`);
    this.#leases.set(fleet, next);
    return { taken: true, lease: next };
  }
}

async function readLeases(path: string): Promise<NeuronLease[]> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (thrown) {
    if (systemErrorCode(thrown) === "ENOENT") return [];
    throw thrown;
  }
  const parsed = z.array(neuronLeaseSchema).safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  throw new CortexError("internal_error", `${path} does not hold leases`, {
    next: "restore the file, or remove it when no apply can still be running",
  });
}
