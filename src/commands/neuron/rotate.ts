import { Flags } from "@oclif/core";
import { BaseCommand } from "../../cli/base-command.ts";
import type { Exchange } from "../../trust/io/authority.ts";

interface Rotated {
  /** After this command. */
  readonly exchange: Exchange;
  /** It made a step. */
  readonly stepped: boolean;
  /** Names of those who have not made the present step yet. */
  readonly awaited: readonly string[];
}

export default class NeuronRotateCommand extends BaseCommand {
  static override summary = "exchange the fleet's authority for a new one, a step at a time";
  static override description =
    "The first call makes a new authority and lets it be known, the second lets it sign, the third retires the old one. Between them neurons and programs renew by themselves, every 5 minutes at most where the authority answers (cortex serve); a step is not made before all have, so that nobody is shut out. Ctrl-C or a crash between two steps costs nothing.";
  static override examples = ["<%= config.bin %> neuron rotate", "<%= config.bin %> neuron rotate --force"];
  static override flags = {
    force: Flags.boolean({
      summary: "make the step although some have not made the one before: they have to join again",
    }),
  };

  async run(): Promise<Rotated> {
    const { flags } = await this.parse(NeuronRotateCommand);
    const { openAuthority } = await import("../../trust/io/authority.ts");
    const { systemClock } = await import("../../platform/system-clock.ts");
    const authority = await openAuthority(this.environment.dataDirectory, systemClock);
    const waiting = authority.exchange === "none" ? [] : await authority.awaited();
    const stepped = waiting.length === 0 || flags.force;
    if (stepped) await authority.exchangeOn();
    const awaited = (await authority.awaited()).map(({ name }) => name);
    const { exchange } = authority;
    const done: Rotated = { exchange, stepped, awaited: exchange === "none" && !stepped ? [] : awaited };
    this.show(words(done));
    return done;
  }
}

const STANDS: Readonly<Record<Exchange, string>> = {
  none: "The old authority is retired: only the new one is trusted.",
  introduced: "A new authority is known beside the present one, and signs nothing yet.",
  switched: "The new authority signs, and the old one is trusted beside it.",
};

function words({ exchange, stepped, awaited }: Rotated): string {
  const said = stepped ? STANDS[exchange] : `Nothing was done: ${STANDS[exchange].toLowerCase()}`;
  if (exchange === "none") return said;
  return awaited.length === 0
    ? `${said}\nAll have heard of it. Next: cortex neuron rotate`
    : `${said}\nNot heard of it yet: ${awaited.join(", ")}. Neurons ask every 5 minutes. Next: cortex neuron rotate, later`;
}
