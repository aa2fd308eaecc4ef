import * as Args from "@oclif/core/args";
import { text } from "node:stream/consumers";
import { BaseCommand } from "../../cli/base-command.ts";
import { CortexError } from "../../core/errors.ts";
import type { MemberRole } from "../../protocol/trust/join-exchange.ts";

interface Joined {
  readonly name: string;
  readonly role: MemberRole;
  readonly file: string;
  readonly good_until: string;
}

export default class NeuronJoinCommand extends BaseCommand {
  static override summary = "take up an invitation: give this machine a certificate of the fleet";
  static override description =
    "Makes a key, which never leaves this machine, and has it signed by the authority whose fingerprint the invitation holds. From its next start on the neuron speaks TLS and is commanded by certificates of the same authority; the certificate renews itself.";
  static override examples = [
    "<%= config.bin %> neuron join < invitation.txt",
    "<%= config.bin %> neuron join cortex-join-eyJh...",
  ];
  static override args = {
    invitation: Args.string({
      description: "the word that cortex neuron invite printed; read from stdin where it is left out",
    }),
  };

  async run(): Promise<Joined> {
    const { args } = await this.parse(NeuronJoinCommand);
    const [{ parseJoinToken }, { takeUp }, { writePrivately }, { identityPath }, { systemClock }] =
      await Promise.all([
        import("../../trust/join-token.ts"),
        import("../../trust/io/join.ts"),
        import("../../trust/io/identity-file.ts"),
        import("../../trust/places.ts"),
        import("../../platform/system-clock.ts"),
      ]);
    const token = parseJoinToken(args.invitation ?? (await this.#readInvitation()));
    const identity = await takeUp(token, systemClock);
    const file = identityPath(this.environment.dataDirectory, identity.role);
    await writePrivately(file, identity);
    const { X509Certificate } = await import("node:crypto");
    const goodUntil = new X509Certificate(identity.certificate).validToDate.toISOString();
    const { name, role } = identity;
    this.show(words({ name, role, file, good_until: goodUntil }));
    return { name, role, file, good_until: goodUntil };
  }

  async #readInvitation(): Promise<string> {
    if (process.stdin.isTTY) this.remark("The invitation, and then Enter and Ctrl-D:");
    const said = await text(process.stdin);
    if (said.trim() !== "") return said;
    throw new CortexError("usage_error", "no invitation was given", {
      next: "cortex neuron invite NAME, where the gateway runs, prints one",
    });
  }
}

const words = ({ name, role, file, good_until: until }: Joined): string =>
  `This machine is ${name} of the fleet now. Its certificate is in ${file}, good until ${until}, and renews itself.\n` +
  (role === "neuron"
    ? `Start it: cortex neuron --host ADDRESS\nIn the fleet files its endpoint begins with https:// from then on.`
    : `cortex serve, plan and apply show it to every neuron whose endpoint begins with https://.`);
