import { join } from "node:path";
import { Flags } from "@oclif/core";
import { isDeepStrictEqual } from "node:util";
import { FleetCommand } from "../cli/fleet-command.ts";
import { configFlag, logLevelFlag, neuronTokenFileFlag } from "../cli/flags/fleet-flags.ts";
import { serveUntilSignal } from "../cli/serve-until-signal.ts";
import { toCortexError } from "../core/errors.ts";
import { parseHostAndPort } from "../core/addresses.ts";
import type { Fleet } from "../fleet/schema/fleet-schema.ts";
import type { RunningGateway } from "../gateway/io/start-gateway.ts";
import type { Logger } from "../platform/logger.ts";
import { onHangup } from "../platform/shutdown.ts";
import { watchFiles } from "../platform/watch-files.ts";

export default class ServeCommand extends FleetCommand {
  static override summary = "run the gateway: the one endpoint that every client talks to";
  static override description =
    "Routes OpenAI requests to the neurons of the fleet files, loads models on their first request, and serves metrics on a port of its own. " +
    "With OTEL_EXPORTER_OTLP_ENDPOINT set, requests are traced: those that their client traces, and of all others the part that OTEL_TRACES_SAMPLER says.";
  static override examples = [
    "<%= config.bin %> serve --config fleet/",
    "CORTEX_GATEWAY__LISTEN=0.0.0.0:31313 <%= config.bin %> serve --config fleet/",
    "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 <%= config.bin %> serve --config fleet/",
  ];
  static override flags = {
    config: configFlag,
    "neuron-token-file": neuronTokenFileFlag,
    insecure: Flags.boolean({
      summary: "listen beyond this machine although the fleet declares no key",
    }),
    "log-level": logLevelFlag("info"),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(ServeCommand);
    const [{ startGateway }, { systemClock }, { createLogger }, { gitSha, packageVersion }] =
      await Promise.all([
        import("../gateway/io/start-gateway.ts"),
        import("../platform/system-clock.ts"),
        import("../platform/logger.ts"),
        import("../platform/package-paths.ts"),
      ]);
    const { fleet, overridden, revision } = await this.loadFleet({ path: flags.config });
    const logger = createLogger({ name: "gateway", level: flags["log-level"], gathersLines: true });
    const { tracing } = this.environment;
    const neuronToken = await this.readToken(flags["neuron-token-file"]);
    await serveUntilSignal(async () => {
      const gateway = await startGateway(
        {
          fleet,
          overridden,
          repository: revision.repository,
          listen: parseHostAndPort(fleet.gateway.listen),
          metricsListen: parseHostAndPort(fleet.gateway.metrics_listen),
          ...(neuronToken === undefined ? {} : { neuronToken }),
          ledgerPath: join(this.environment.dataDirectory, "usage", `${fleet.fleet.name}.sqlite`),
          insecure: flags.insecure,
          ...(tracing === undefined ? {} : { tracing }),
          build: { packageVersion: packageVersion(), gitSha: gitSha() },
        },
        { clock: systemClock, logger },
      );
      const [url, metrics] = [gateway.address, `${gateway.metricsAddress}/metrics`];
      this.announce(
        { type: "listening", url, metrics },
        `gateway listening on ${url}, metrics on ${metrics}`,
      );
      const stopReloading = this.#reloadOnChange(flags.config, { gateway, logger, first: fleet });
      return {
        close: async () => {
          stopReloading();
          await gateway.close();
        },
      };
    });
  }

  /** On SIGHUP, and by itself when files of the work tree change. A broken file leaves the last good ones in force. */
  #reloadOnChange(path: string, { gateway, logger, first }: Reloading): () => void {
    let current = first;
    const reload = async (): Promise<void> => {
      try {
        const { fleet, overridden, revision } = await this.loadFleet({ path });
        if (isDeepStrictEqual(fleet, current)) return;
        gateway.reload({ fleet, overridden, repository: revision.repository });
        current = fleet;
      } catch (thrown) {
        const { code, message, details } = toCortexError(thrown);
        logger.error(
          { code, reason: message, details },
          "fleet files not taken: the last good ones stay in force",
        );
      }
    };
    const stops = [onHangup(() => void reload()), watchFiles(path, () => void reload())];
    return () => {
      for (const stop of stops) stop?.();
    };
  }
}

interface Reloading {
  readonly gateway: RunningGateway;
  readonly logger: Logger;
  readonly first: Fleet;
}
