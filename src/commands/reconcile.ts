import * as Flags from "@oclif/core/flags";
import { FleetCommand } from "../cli/fleet-command.ts";
import {
  apiKeyFileFlag,
  configFlag,
  gatewayUrlFlag,
  metricsUrlFlag,
  neuronTokenFileFlag,
} from "../cli/flags/fleet-flags.ts";
import { serveUntilSignal } from "../cli/serve-until-signal.ts";
import { reconcileFlags } from "../cli/flags/reconcile-flags.ts";
import type { News } from "../controller/reconcile/notification.ts";
import type { RoundOutcome } from "../controller/reconcile/round-outcome.ts";
import { onHangup } from "../platform/shutdown.ts";
import { EXIT } from "../core/errors.ts";

export default class ReconcileCommand extends FleetCommand {
  static override summary = "let the fleet follow its branch: fetch, verify, plan, apply, again and again";
  static override description =
    'Applies what the branch of [gitops] declares, under the lock of the fleet, each interval_secs and at each push that a webhook announces. Drift is healed, or with mode = "detect" only told. Nothing is changed for a commit without a good signature where signatures are asked for, a branch that was pushed by force, files that are broken or declare nothing, or a plan that unloads more than max_unload_percent.';
  static override examples = [
    "<%= config.bin %> reconcile --config git+https://git.example/fleet.git",
    "<%= config.bin %> reconcile --config fleet/ --verify ssh --signers allowed_signers",
    "<%= config.bin %> reconcile --config fleet/ --listen 127.0.0.1:31315 --webhook-secret-file hook.secret",
    "<%= config.bin %> reconcile --config fleet/ --commit-status gitea --commit-status-token-file git.token",
    "<%= config.bin %> reconcile --config fleet/ --notify-slack-file slack.url",
    "<%= config.bin %> reconcile --config fleet/ --once --json     # one round, for cron",
  ];
  static override flags = {
    config: configFlag,
    once: Flags.boolean({ summary: "one round, then end: 0 as declared, 2 drifted, 1 refused or failed" }),
    mode: Flags.option({ options: ["apply", "detect"] as const, summary: "instead of `mode` of [gitops]" })(),
    ...reconcileFlags,
    listen: Flags.string({
      helpValue: "HOST:PORT",
      summary: "serve POST /hook, GET /status and /metrics there",
    }),
    gateway: gatewayUrlFlag,
    "api-key-file": apiKeyFileFlag,
    "metrics-url": metricsUrlFlag,
    "neuron-token-file": neuronTokenFileFlag,
  };

  protected override readonly writesEvents = true;

  async run(): Promise<void> {
    const { flags } = await this.parse(ReconcileCommand);
    const [{ openReconcileService }, { systemClock: clock }] = await Promise.all([
      import("../controller/reconcile/io/open-service.ts"),
      import("../platform/system-clock.ts"),
    ]);
    const { environment } = this;
    const { fleet } = await this.loadFleet({ path: flags.config });
    const neuronAccess = () => this.neuronAccess(flags["neuron-token-file"]);
    const situation = {
      fleet,
      environment,
      clock,
      neuronAccess,
      onApply: (told: Begun) => this.#tellBegun(told),
    };
    await serveUntilSignal(
      async () => {
        const service = await openReconcileService(flags, situation, {
          onNews: (news) => this.#tell(news),
          onProblem: (text) => this.remark(text),
        });
        if (service.url !== undefined)
          this.announce({ type: "listening", url: service.url }, `listening on ${service.url}`);
        const stopListening = onHangup(() => service.reconciler.announcePush());
        if (flags.once) process.exitCode = exitCodeOf(await service.reconciler.firstRound);
        return {
          close: async () => {
            stopListening();
            await service.close();
          },
        };
      },
      { once: flags.once },
    );
  }

  /** So that whoever looks knows why nothing is said for minutes. */
  #tellBegun({ commit, summary }: Begun): void {
    const at = new Date().toISOString();
    this.announce(
      { type: "applying", at, commit, summary },
      `${at} Applying ${commit.slice(0, 8)}: ${summary}`,
    );
  }

  #tell({ conditions, outcome, at }: News): void {
    const { status, reason } = conditions.Ready;
    this.announce(
      { type: "reconcile", at, outcome, conditions },
      `${at} Ready=${status} ${reason}: ${outcome.message}`,
    );
  }
}

interface Begun {
  readonly commit: string;
  readonly summary: string;
}

function exitCodeOf(outcome: RoundOutcome): number {
  const { kind } = outcome;
  if (kind === "held-back") return outcome.in_sync ? EXIT.done : EXIT.changesPending;
  if (kind === "in-sync" || kind === "applied") return EXIT.done;
  return kind === "drifted" || kind === "drift-suspected" ? EXIT.changesPending : EXIT.failed;
}
