import { randomBytes } from "node:crypto";
import type { Clock } from "../../../core/clock.ts";
import { CortexError } from "../../../core/errors.ts";
import type { Fleet } from "../../../fleet/schema/fleet-schema.ts";
import type { LockRecord } from "../../../protocol/refs/lock-record.ts";
import type { NeuronLease } from "../../../protocol/refs/neuron-lease.ts";
import {
  createNeuronClient,
  type NeuronAccess,
  type NeuronClient,
} from "../../../protocol/io/neuron-client.ts";
import type { CalledNeuron } from "../../../protocol/neuron-failure.ts";
import { majorityLease, majorityOf } from "../majority-lease.ts";
import type { LockStore, SeenLock } from "../lock-store.ts";

export interface LeaseNeurons {
  readonly fleet: string;
  /** All that the fleet declares: a majority of them decides, whoever answers. */
  readonly neurons: readonly CalledNeuron[];
  readonly clock: Clock;
  readonly access: NeuronAccess | undefined;
  readonly connect?: ((neuron: CalledNeuron) => NeuronClient) | undefined;
}

const CALL_TIMEOUT_MS = 3000;

/** The lease of the fleet that files declare; undefined without files, and of a fleet without neurons. */
export function leaseOf(
  declared: Fleet | undefined,
  deps: Pick<LeaseNeurons, "clock" | "access">,
): { readonly fleet: string; readonly store: LockStore } | undefined {
  if (declared === undefined || declared.neurons.length === 0) return undefined;
  const fleet = declared.fleet.name;
  return { fleet, store: createNeuronLease({ ...deps, fleet, neurons: declared.neurons }) };
}

/**
 * The lock of a fleet as a lease on its neurons, where no remote can be written: the same promises as of refs in git, but no
 * history. Each neuron keeps one lease of a fleet and changes it on condition of what was read; whoever changes it at most
 * of them has it, and two majorities have a neuron in common.
 */
export function createNeuronLease(options: LeaseNeurons): LockStore {
  return new NeuronLeaseStore(options);
}

class NeuronLeaseStore implements LockStore {
  readonly #options: LeaseNeurons;
  readonly shown: string;

  constructor(options: LeaseNeurons) {
    this.#options = options;
    this.shown = `the neurons of ${options.fleet}`;
  }

  async read(): Promise<SeenLock> {
    return this.#withClients(async (clients) => majorityLease(await this.#look(clients), clients.length));
  }

  async swap(expected: string | undefined, next: LockRecord): Promise<string | undefined> {
    const token = randomBytes(8).toString("hex");
    const taken = await this.#change(expected, { token, record: next, last_epoch: 0 });
    return taken ? token : undefined;
  }

  async drop(expected: string, { epoch }: { readonly epoch: number }): Promise<boolean> {
    return this.#change(expected, { token: null, record: null, last_epoch: epoch });
  }

  /** Everywhere from what was seen there: a lease that only few have is nobody's, and must not be in the way. */
  async #change(
    expected: string | undefined,
    next: Pick<NeuronLease, "token" | "record" | "last_epoch">,
  ): Promise<boolean> {
    const { fleet } = this.#options;
    return this.#withClients(async (clients) => {
      const leases = await this.#look(clients);
      if (majorityLease(leases, clients.length).token !== expected) return false;
      const answers = await Promise.all(
        clients.map(async (client, index) => {
          const seen = leases[index];
          if (seen === undefined) return undefined;
          const answer = await answered(client.swapLease(fleet, { ...next, expected: seen.token }));
          return answer?.taken === true ? { client, seen } : undefined;
        }),
      );
      const taken = answers.filter((answer) => answer !== undefined);
      if (taken.length >= majorityOf(clients.length)) return true;
      // Somebody else was quicker at most of them: what was taken goes back, so that it keeps nobody waiting.
      await Promise.all(
        taken.map(({ client, seen: { token, record } }) =>
          answered(client.swapLease(fleet, { expected: next.token, token, record })),
        ),
      );
      return false;
    });
  }

  /** In the order of the clients; undefined of a neuron that does not answer. Throws unless most of them do. */
  async #look(clients: readonly NeuronClient[]): Promise<(NeuronLease | undefined)[]> {
    const { fleet } = this.#options;
    const leases = await Promise.all(clients.map((client) => answered(client.lease(fleet))));
    const count = leases.filter((lease) => lease !== undefined).length;
    if (count >= majorityOf(clients.length)) return leases;
    throw new CortexError(
      "lock_unreachable",
      `${count} of the ${clients.length} neurons of ${fleet} answer, and the lock is kept by ${majorityOf(clients.length)} of them at least`,
    );
  }

  async #withClients<Value>(work: (clients: readonly NeuronClient[]) => Promise<Value>): Promise<Value> {
    const { neurons, clock, access } = this.#options;
    const connect =
      this.#options.connect ??
      ((neuron) => createNeuronClient(neuron, { clock, access, callTimeoutMs: CALL_TIMEOUT_MS }));
    const clients = neurons.map(connect);
    try {
      return await work(clients);
    } finally {
      await Promise.all(clients.map((client) => client.destroy()));
    }
  }
}

/** Undefined of one that does not answer. Throws `leases_not_kept` of one that is too old to keep any, and what is final. */
async function answered<Answer>(answer: Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await answer;
  } catch (thrown) {
    if (!(thrown instanceof CortexError)) throw thrown;
    if (thrown.code === "route_not_found" || thrown.code === "job_not_found")
      throw new CortexError(
        "leases_not_kept",
        "a neuron of the fleet keeps no leases: it runs an older cortex",
        {
          cause: thrown,
        },
      );
    if (thrown.code === "unauthorized") throw thrown;
    return undefined;
  }
}
