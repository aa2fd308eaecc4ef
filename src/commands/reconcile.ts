import { Flags } from "@oclif/core";
import { FleetCommand } from "../cli/fleet-command.ts";
import {
  apiKeyFileFlag,
  configFlag,
  gatewayUrlFlag,
  metricsUrlFlag,
  neuronTokenFileFlag,
} from "../cli/flags/fleet-flags.ts";
import { serveUntilSignal } from "../cli/serve-until-signal.ts";
import { parseHostAndPort } from "../core/addresses.ts";
import type { Conditions } from "../controller/reconcile/conditions.ts";
import type { RoundOutcome } from "../controller/reconcile/round-outcome.ts";
import { CortexError, EXIT } from "../core/errors.ts";

export default class ReconcileCommand extends FleetCommand {
  static override summary = "let the fleet follow its branch: fetch, verify, plan, apply, again and again";
  static override description =
    'Applies what the branch of [gitops] declares, under the lock of the fleet, each interval_secs and at each push that a webhook announces. Drift is healed, or with mode = "detect" only told. Nothing is changed for a commit without a good signature where signatures are asked for, a branch that was pushed by force, files that are broken or declare nothing, or a plan that unloads more than max_unload_percent.';
  static override examples = [
    "<%= config.bin %> reconcile --config git+https://git.example/fleet.git",
    "<%= config.bin %> reconcile --config fleet/ --verify ssh --signers allowed_signers",
    "<%= config.bin %> reconcile --config fleet/ --listen 127.0.0.1:31315 --webhook-secret-file hook.secret",
    "<%= config.bin %> reconcile --config fleet/ --once --json     # one round, for cron",
  ];
  static override flags = {
    config: configFlag,
    once: Flags.boolean({ summary: "one round, then end: 0 as declared, 2 drifted, 1 refused or failed" }),
    mode: Flags.option({ options: ["apply", "detect"] as const, summary: "instead of `mode` of [gitops]" })(),
    verify: Flags.option({
      options: ["none", "ssh", "gpg"] as const,
      summary: "whose signatures count; default: `verify` of [gitops] as this process is started",
    })(),
    signers: Flags.string({
      env: "CORTEX_SIGNERS",
      helpValue: "FILE",
      summary:
        "ssh: allowed signers as of ssh-keygen; gpg: public keys. A file of this machine, not of the repository",
    }),
    listen: Flags.string({
      helpValue: "HOST:PORT",
      summary: "serve POST /hook, GET /status and /metrics there",
    }),
    "webhook-secret-file": Flags.string({
      helpValue: "PATH",
      summary: "file with the secret that the git host shares (mode 600): GitHub, Gitea, Forgejo, GitLab",
    }),
    gateway: gatewayUrlFlag,
    "api-key-file": apiKeyFileFlag,
    "metrics-url": metricsUrlFlag,
    "neuron-token-file": neuronTokenFileFlag,
  };

  protected override readonly writesEvents = true;

  async run(): Promise<void> {
    const { flags } = await this.parse(ReconcileCommand);
    const [{ startReconcile }, { startReconcileServer }, { branchPlace }, { systemClock: clock }] =
      await Promise.all([
        import("../controller/reconcile/io/start-reconcile.ts"),
        import("../controller/reconcile/io/reconcile-server.ts"),
        import("../repository/io/fleet-branch.ts"),
        import("../platform/system-clock.ts"),
      ]);
    const { environment } = this;
    const { fleet } = await this.loadFleet({ path: flags.config });
    const { repo, branch, interval_secs, verify } = fleet.gitops;
    const place = await branchPlace({ path: flags.config, repo, branch }, environment);
    const hookSecret = await this.readToken(flags["webhook-secret-file"]);
    await serveUntilSignal(
      async () => {
        const reconciler = startReconcile(
          {
            place,
            environment,
            operator: environment.operator,
            clock,
            signatures: signaturesOf(flags.verify ?? verify, flags.signers),
            mode: flags.mode,
            neuronToken: () => this.readToken(flags["neuron-token-file"]),
            gatewayUrl: flags.gateway,
            metricsUrl: flags["metrics-url"],
            apiKey: () => this.readToken(flags["api-key-file"]),
            intervalMs: interval_secs * 1000,
          },
          {
            clock,
            chance: Math.random,
            onTell: (told) => this.#tell(told, new Date(clock.nowMs()).toISOString()),
          },
        );
        const server =
          flags.listen === undefined
            ? undefined
            : await startReconcileServer(
                { listen: parseHostAndPort(flags.listen), hookSecret, branch, fleet: fleet.fleet.name },
                { reconciler, clock },
              );
        if (server !== undefined)
          this.announce({ type: "listening", url: server.url }, `listening on ${server.url}`);
        if (flags.once) {
          process.exitCode = exitCodeOf(await reconciler.firstRound);
        }
        return {
          close: async () => {
            await reconciler.close();
            await server?.close();
          },
        };
      },
      { once: flags.once },
    );
  }

  #tell({ conditions, outcome }: Told, at: string): void {
    const { status, reason } = conditions.Ready;
    this.announce(
      { type: "reconcile", at, outcome, conditions },
      `${at} Ready=${status} ${reason}: ${outcome.message}`,
    );
  }
}

interface Told {
  readonly conditions: Conditions;
  readonly outcome: RoundOutcome;
}

function exitCodeOf({ kind }: RoundOutcome): number {
  if (kind === "in-sync" || kind === "applied") return EXIT.done;
  return kind === "drifted" || kind === "drift-suspected" ? EXIT.changesPending : EXIT.failed;
}

function signaturesOf(
  format: "none" | "ssh" | "gpg",
  signersFile: string | undefined,
): { readonly format: "ssh" | "gpg"; readonly signersFile: string } | undefined {
  if (format === "none" && signersFile === undefined) return undefined;
  if (format === "none")
    throw new CortexError("usage_error", "--signers without signatures that are asked for", {
      next: "say which: --verify ssh or --verify gpg, or `verify` of [gitops]",
    });
  if (signersFile === undefined)
    throw new CortexError("usage_error", `verify = "${format}" needs the keys that are trusted`, {
      next: "name their file with --signers: a file of this machine, which a commit cannot change",
    });
  return { format, signersFile };
}
