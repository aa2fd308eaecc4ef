import { join } from "node:path";
import { availableParallelism } from "node:os";
import * as Flags from "@oclif/core/flags";
import { FleetCommand } from "../cli/fleet-command.ts";
import { configFlag, logLevelFlag, neuronTokenFileFlag } from "../cli/flags/fleet-flags.ts";
import { reconcileFlags } from "../cli/flags/reconcile-flags.ts";
import { serveUntilSignal } from "../cli/serve-until-signal.ts";
import { CortexError } from "../core/errors.ts";
import { parseHostAndPort } from "../core/addresses.ts";
import type { Fleet } from "../fleet/schema/fleet-schema.ts";
import type { ReconcileFlags } from "../controller/reconcile/io/open-service.ts";
import type { News } from "../controller/reconcile/notification.ts";
import type { LoadedFleet } from "../repository/io/load-fleet.ts";
import type { GatewayConfig } from "../gateway/gateway-config.ts";
import type { RunningGateway } from "../gateway/io/start-gateway.ts";
import type { Logger } from "../platform/logger.ts";
import { boundYoungGeneration } from "../platform/young-generation.ts";
import { onHangup, outliveReaders } from "../platform/shutdown.ts";
import { followFiles } from "../platform/follow-files.ts";

/** What a machine can do is no matter of the fleet: so no field of its files. */
const workersFlag = Flags.custom<number>({
  env: "CORTEX_WORKERS",
  default: 1,
  helpValue: "N",
  summary: "processes that serve requests; auto: one for each core, up to 8",
  parse: async (text) => {
    const { crewSize } = await import("../gateway/crew/crew-size.ts");
    const workers = crewSize(text, availableParallelism());
    if (workers !== null) return workers;
    throw new CortexError("usage_error", `--workers ${text} is no number of processes`, {
      next: "give a number from 1 to 64, or auto",
    });
  },
})();

export default class ServeCommand extends FleetCommand {
  static override summary = "run the gateway: the one endpoint that every client talks to";
  static override description =
    "Routes OpenAI requests to the neurons of the fleet files, loads models on their first request, and serves metrics on a port of its own. " +
    "With OTEL_EXPORTER_OTLP_ENDPOINT set, requests are traced: those that their client traces, and of all others the part that OTEL_TRACES_SAMPLER says.";
  static override examples = [
    "<%= config.bin %> serve --config fleet/",
    "CORTEX_GATEWAY__LISTEN=0.0.0.0:31313 <%= config.bin %> serve --config fleet/",
    "<%= config.bin %> serve --config git+https://git.example/fleet.git --reconcile",
    "<%= config.bin %> serve --config fleet/ --workers auto",
    "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 <%= config.bin %> serve --config fleet/",
  ];
  static override flags = {
    config: configFlag,
    "neuron-token-file": neuronTokenFileFlag,
    insecure: Flags.boolean({
      summary: "listen beyond this machine although the fleet declares no key",
    }),
    "log-level": logLevelFlag("info"),
    workers: workersFlag,
    reconcile: Flags.boolean({
      summary:
        "let the fleet follow its branch too, as `cortex reconcile` does: one process, one log, one end",
    }),
    "reconcile-listen": Flags.string({
      helpValue: "HOST:PORT",
      dependsOn: ["reconcile"],
      summary: "serve POST /hook, GET /status and /metrics of the loop there",
    }),
    ...reconcileFlags,
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(ServeCommand);
    if (flags.workers > 1 && (await this.#servedForOwner(flags))) return;
    const [{ startGateway }, { systemClock }, { createLogger }] = await Promise.all([
      import("../gateway/io/start-gateway.ts"),
      import("../platform/system-clock.ts"),
      import("../platform/logger.ts"),
    ]);
    const loaded = await this.#filesToServe(flags);
    const { fleet } = loaded;
    const config = await this.#gatewayConfig(flags, loaded);
    const sharesStderr = flags.workers > 1;
    const logger = createLogger({
      name: "gateway",
      level: flags["log-level"],
      gathersLines: true,
      sharesStderr,
    });
    const neurons = await this.openNeuronAccess(flags["neuron-token-file"], { follows: true, logger });
    await serveUntilSignal(async () => {
      const gateway = await startGateway(config, {
        clock: systemClock,
        logger,
        neuronAccess: neurons.access,
      });
      const [url, metrics] = [gateway.address, `${gateway.metricsAddress}/metrics`];
      this.announce(
        { type: "listening", url, metrics },
        `gateway listening on ${url}, metrics on ${metrics}`,
      );
      const answering = await this.#answerMembers(logger);
      const reloading = { gateway, logger, first: fleet };
      const following = flags.reconcile
        ? this.#followBranch(flags, reloading)
        : Promise.resolve(this.#reloadOnChange(flags.config, reloading));
      const stop = await following.catch(async (thrown: unknown) => {
        await Promise.all([answering.close(), gateway.close()]);
        throw thrown;
      });
      const young = boundYoungGeneration(YOUNG_MIB, systemClock);
      return {
        close: async () => {
          // Together: a round that waits for a model must not keep answers from ending, nor they it.
          await Promise.all([stop(), answering.close(), gateway.close()]);
          neurons.close();
          young.close();
        },
      };
    });
  }

  async #gatewayConfig(
    { insecure, workers }: { readonly insecure: boolean; readonly workers: number },
    { fleet, overridden, revision }: LoadedFleet,
  ): Promise<GatewayConfig> {
    const { gitSha, packageVersion } = await import("../platform/package-paths.ts");
    const { tracing, dataDirectory, inherited } = this.environment;
    return {
      fleet,
      overridden,
      repository: revision.repository,
      listen: parseHostAndPort(fleet.gateway.listen),
      metricsListen: parseHostAndPort(fleet.gateway.metrics_listen),
      ledgerPath: join(dataDirectory, "usage", `${fleet.fleet.name}.sqlite`),
      insecure,
      ...(workers > 1 ? { crew: { workers, program: asWorker(inherited) } } : {}),
      ...(tracing === undefined ? {} : { tracing }),
      build: { packageVersion: packageVersion(), gitSha: gitSha() },
    };
  }

  /** In a process that an owner has started to serve requests with it; false in any other. */
  async #servedForOwner(flags: {
    readonly "log-level": string;
    readonly "neuron-token-file"?: string | undefined;
  }): Promise<boolean> {
    if (this.environment.cortexVariables["CORTEX_GATEWAY_CREW"] === undefined) return false;
    const { joinCrew } = await import("../gateway/crew/io/join-crew.ts");
    const [place, { serveInCrew }, { systemClock: clock }, { createLogger }] = await Promise.all([
      joinCrew<GatewayConfig>(),
      import("../gateway/io/start-gateway-worker.ts"),
      import("../platform/system-clock.ts"),
      import("../platform/logger.ts"),
    ]);
    outliveReaders();
    const { worker } = place.beginning;
    const gathered = { gathersLines: true, sharesStderr: true };
    const logger = createLogger({ name: "gateway", level: flags["log-level"], worker, ...gathered });
    const neurons = await this.openNeuronAccess(flags["neuron-token-file"], { follows: true, logger });
    const young = boundYoungGeneration(YOUNG_MIB, clock);
    await serveInCrew(place, { clock, logger, neuronAccess: neurons.access }).finally(() => {
      young.close();
    });
    neurons.close();
    return true;
  }

  async #filesToServe(flags: ReconcileFlags & { readonly reconcile: boolean }): Promise<LoadedFleet> {
    const loaded = await this.loadFleet({ path: flags.config });
    if (!flags.reconcile) return loaded;
    const { filesToServe } = await import("../controller/reconcile/io/open-service.ts");
    return filesToServe(flags, { loaded, environment: this.environment });
  }

  /**
   * The loop beside the gateway. Clients are served what was made true, and not what a commit wishes: the gateway takes the
   * files of a commit once the fleet is as they declare. SIGHUP has the branch looked at now.
   */
  async #followBranch(
    flags: ReconcileFlags & {
      readonly "reconcile-listen"?: string | undefined;
      readonly "neuron-token-file"?: string | undefined;
    },
    { gateway, logger, first: fleet }: Reloading,
  ): Promise<() => Promise<void>> {
    const [{ openReconcileService }, { systemClock: clock }] = await Promise.all([
      import("../controller/reconcile/io/open-service.ts"),
      import("../platform/system-clock.ts"),
    ]);
    const { environment } = this;
    const situation = {
      fleet,
      environment,
      clock,
      neuronAccess: () => this.neuronAccess(flags["neuron-token-file"]),
      onApply: ({ commit, summary }: { readonly commit: string; readonly summary: string }) =>
        logger.info({ commit }, `reconcile: applying ${commit.slice(0, 8)}: ${summary}`),
      onTrue: ({ fleet: declared, overridden, revision }: LoadedFleet) =>
        gateway.reload({ fleet: declared, overridden, repository: revision.repository }),
    };
    const service = await openReconcileService({ ...flags, listen: flags["reconcile-listen"] }, situation, {
      onNews: (news) => logNews(logger, news),
      onProblem: (text) => logger.warn(text),
    });
    if (service.url !== undefined)
      this.announce({ type: "reconciling", url: service.url }, `reconciling, listening on ${service.url}`);
    const stopListening = onHangup(() => service.reconciler.announcePush());
    return async () => {
      stopListening();
      await service.close();
    };
  }

  /** Machines that join, and certificates that renew themselves, where the fleet's authority is on this machine. */
  async #answerMembers(logger: Logger): Promise<{ close(): Promise<void> }> {
    const [{ keepAnswering }, { systemClock }] = await Promise.all([
      import("../trust/io/keep-answering.ts"),
      import("../platform/system-clock.ts"),
    ]);
    return keepAnswering(this.environment.dataDirectory, { clock: systemClock, logger });
  }

  /** On SIGHUP, and by itself when files of the work tree change. A broken file leaves the last good ones in force. */
  #reloadOnChange(path: string, { gateway, logger, first }: Reloading): () => Promise<void> {
    const following = followFiles({
      path,
      first,
      logger,
      read: () => this.loadFleet({ path }),
      take: ({ fleet, overridden, revision }) =>
        gateway.reload({ fleet, overridden, repository: revision.repository }),
    });
    const stopListening = onHangup(following.reread);
    return () => {
      stopListening();
      following.close();
      return Promise.resolve();
    };
  }
}

/** One line for each change of the conditions, in the gateway's own log. */
function logNews(logger: Logger, { outcome, conditions }: News): void {
  const { status, reason } = conditions.Ready;
  const facts = { ready: status, reason, commit: outcome.commit, outcome: outcome.kind };
  if (status === "False") logger.warn(facts, `reconcile: ${outcome.message}`);
  else logger.info(facts, `reconcile: ${outcome.message}`);
}

interface Reloading {
  readonly gateway: RunningGateway;
  readonly logger: Logger;
  readonly first: Fleet;
}

/** What dies young has so much, and what is copied out of it as much: 16 or 32 were no faster in bench/gateway. */
const YOUNG_MIB = 8;

/** What a worker runs is what runs here; systemd hears from the owner alone. */
const asWorker = (inherited: Readonly<Record<string, string | undefined>>) => ({
  file: process.argv[1] ?? "",
  args: process.argv.slice(2),
  environment: { ...inherited, NOTIFY_SOCKET: "", CORTEX_GATEWAY_CREW: "worker" },
});
