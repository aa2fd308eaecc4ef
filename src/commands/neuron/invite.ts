import * as Args from "@oclif/core/args";
import * as Flags from "@oclif/core/flags";
import { BaseCommand } from "../../cli/base-command.ts";
import { durationFlag } from "../../cli/flags/fleet-flags.ts";
import { serveUntilSignal } from "../../cli/serve-until-signal.ts";
import { CortexError } from "../../core/errors.ts";
import type { Authority, Invitation } from "../../trust/io/authority.ts";

interface Invited {
  readonly name: string;
  readonly token: string;
  readonly expires_at: string;
}

const DEFAULT_LIFE_MS = 3_600_000;
/** Loopback alone until the operator says where other machines reach this one. */
const DEFAULT_ADDRESS = "127.0.0.1:31315";
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

export default class NeuronInviteCommand extends BaseCommand {
  static override summary = "let a machine join: make the one word that gives it a certificate of this fleet";
  static override description =
    "The first invitation makes the fleet's authority, a key in this user's data directory. The word works once, for one name, until it expires, and holds the authority's fingerprint, so that nobody between can read or change what is exchanged. This command answers the machine itself and ends when it has joined; where cortex serve runs on this machine, that answers. Neurons that have joined are called by certificate wherever their `endpoint` is https.";
  static override examples = [
    "<%= config.bin %> neuron invite beast --at 10.0.0.1:31315",
    "<%= config.bin %> neuron invite beast --expires 15m",
    "<%= config.bin %> neuron invite laptop --control",
  ];
  static override args = {
    name: Args.string({ required: true, description: "how the fleet files call the machine" }),
  };
  static override flags = {
    at: Flags.string({
      env: "CORTEX_AUTHORITY_ADDRESS",
      helpValue: "HOST:PORT",
      summary: `where other machines reach this one, and where it is listened for them; kept from then on; at first ${DEFAULT_ADDRESS}`,
    }),
    expires: durationFlag("expires", "how long the word works; 1h by default"),
    control: Flags.boolean({
      summary: "for a machine that runs cortex serve, plan or apply: it may command neurons, and is none",
    }),
    wait: Flags.boolean({
      default: true,
      allowNo: true,
      summary: "answer the machine and end when it has joined",
    }),
  };

  async run(): Promise<Invited> {
    const { args, flags } = await this.parse(NeuronInviteCommand);
    if (!NAME.test(args.name)) {
      throw new CortexError(
        "usage_error",
        `${args.name} is no name: letters, digits, dot, dash and underscore`,
      );
    }
    if (flags.at !== undefined && !/^\[?[^\s[\]/]+\]?:\d{1,5}$/.test(flags.at)) {
      throw new CortexError("usage_error", `--at ${flags.at} is no address: write HOST:PORT`);
    }
    const [{ Authority }, { authorityDirectory }, { formatJoinToken }, { systemClock }] = await Promise.all([
      import("../../trust/io/authority.ts"),
      import("../../trust/places.ts"),
      import("../../trust/join-token.ts"),
      import("../../platform/system-clock.ts"),
    ]);
    const authority = await Authority.openOrMake(authorityDirectory(this.environment.dataDirectory), {
      clock: systemClock,
      address: flags.at,
      fallback: DEFAULT_ADDRESS,
    });
    const invitation = await authority.invite(args.name, {
      role: flags.control ? "control" : "neuron",
      lifeMs: flags.expires ?? DEFAULT_LIFE_MS,
    });
    const invited = {
      name: args.name,
      token: formatJoinToken(invitation.token),
      expires_at: new Date(invitation.expiresAtMs).toISOString(),
    };
    this.show(`${invited.token}\n`);
    this.remark(words(invited));
    if (flags.wait) await this.#answer(authority, invitation);
    return invited;
  }

  async #answer(authority: Authority, { token, expiresAtMs }: Invitation): Promise<void> {
    const [{ startAuthorityServer }, { systemClock }, { createLogger }] = await Promise.all([
      import("../../trust/io/authority-server.ts"),
      import("../../platform/system-clock.ts"),
      import("../../platform/logger.ts"),
    ]);
    const logger = createLogger({ name: "authority", level: "warn" });
    const joined = Promise.withResolvers<"joined" | "expired">();
    await serveUntilSignal(
      async () => {
        const onIssued = (invitation: string): void => {
          if (invitation === token.invitation) joined.resolve("joined");
        };
        const server = await startAuthorityServer(authority, { clock: systemClock, logger, onIssued }).catch(
          (thrown: unknown) => {
            if (!(thrown instanceof CortexError) || thrown.code !== "address_in_use") throw thrown;
            return null;
          },
        );
        if (server === null) {
          this.remark(
            `Another program of this machine answers at ${token.address}: cortex serve, or another invitation.`,
          );
          return { close: () => Promise.resolve() };
        }
        this.remark(
          `Waiting for ${token.name} at ${token.address}; Ctrl-C ends the waiting, the word stays good.`,
        );
        const stop = systemClock.alarm(expiresAtMs - systemClock.nowMs(), () => {
          joined.resolve("expired");
        });
        const end = await joined.promise;
        stop();
        await server.close();
        if (end === "expired")
          throw new CortexError("invitation_refused", `nobody has joined as ${token.name} in time`);
        this.remark(`${token.name} has joined.`);
        return { close: () => Promise.resolve() };
      },
      { once: true },
    );
  }
}

const words = ({ name, expires_at: until }: Invited): string =>
  `An invitation for ${name}, shown this once, good until ${until}. On that machine:\n\n  cortex neuron join\n\nand give it the word above.`;
