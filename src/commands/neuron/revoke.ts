import * as Args from "@oclif/core/args";
import { FleetCommand } from "../../cli/fleet-command.ts";
import { configFlag, neuronTokenFileFlag } from "../../cli/flags/fleet-flags.ts";
import { CortexError, toCortexError } from "../../core/errors.ts";

interface Told {
  readonly neuron: string;
  /** Null: it refuses the certificates from now on. */
  readonly problem: string | null;
}

interface Revoked {
  readonly name: string;
  readonly certificates: number;
  readonly told: readonly Told[];
}

const TELL_TIMEOUT_MS = 5000;

export default class NeuronRevokeCommand extends FleetCommand {
  static override summary = "refuse a machine from now on: its certificates, and its open invitations";
  static override description =
    "The gateway on this machine cuts its connections to the machine within a second, and every neuron of the fleet files is told at once to refuse it. A neuron that cannot be reached asks for itself, at its start and every 5 minutes. The same name may be invited again.";
  static override examples = ["<%= config.bin %> neuron revoke beast --config fleet/"];
  static override args = {
    name: Args.string({ required: true, description: "as in cortex neuron ls" }),
  };
  static override flags = { config: configFlag, "neuron-token-file": neuronTokenFileFlag };

  async run(): Promise<Revoked> {
    const { args, flags } = await this.parse(NeuronRevokeCommand);
    const { openAuthority } = await import("../../trust/io/authority.ts");
    const { systemClock } = await import("../../platform/system-clock.ts");
    const authority = await openAuthority(this.environment.dataDirectory, systemClock);
    const certificates = await authority.revoke(args.name);
    if (certificates === 0) {
      throw new CortexError("authority_not_found", `no good certificate of ${args.name} was given out here`, {
        next: "cortex neuron ls lists those that were",
      });
    }
    const told = await this.#tell(await authority.revocations(), flags);
    this.show(words({ name: args.name, certificates, told }));
    return { name: args.name, certificates, told };
  }

  async #tell(
    revocations: string,
    flags: { readonly config: string; readonly "neuron-token-file": string | undefined },
  ): Promise<readonly Told[]> {
    const { createNeuronClient } = await import("../../protocol/io/neuron-client.ts");
    const { systemClock } = await import("../../platform/system-clock.ts");
    const { fleet } = await this.loadFleet({ path: flags.config });
    const access = await this.neuronAccess(flags["neuron-token-file"]);
    const others = fleet.neurons.filter(({ endpoint }) => endpoint.startsWith("https:"));
    return Promise.all(
      others.map(async (neuron) => {
        const options = { clock: systemClock, callTimeoutMs: TELL_TIMEOUT_MS, access };
        const client = createNeuronClient(neuron, options);
        const problem = await client.revoke(revocations).then(
          () => null,
          (thrown: unknown) => toCortexError(thrown).message,
        );
        await client.destroy();
        return { neuron: neuron.name, problem };
      }),
    );
  }
}

const words = ({ name, certificates, told }: Revoked): string =>
  [
    `${certificates === 1 ? "One certificate" : `${certificates} certificates`} of ${name} revoked.`,
    ...told.map(({ neuron, problem }) =>
      problem === null ? `${neuron} refuses it now.` : `${neuron} was not told: ${problem}`,
    ),
  ].join("\n");
