import { readFile } from "node:fs/promises";
import { join } from "node:path";
import * as Flags from "@oclif/core/flags";
import { BaseCommand } from "../cli/base-command.ts";
import { logLevelFlag, portFlag } from "../cli/flags/fleet-flags.ts";
import { CortexError } from "../core/errors.ts";
import { UpProgress } from "../cli/up-progress.ts";
import { DEMO_PORTS, usageText } from "../demo/demo-fleet.ts";
import { SIMULATED_FLEETS } from "../demo/simulated-fleet.ts";

const port = (summary: string, fallback: number) =>
  portFlag(`${summary}, in a demo fleet that is made now`, { least: 1, fallback });

export default class UpCommand extends BaseCommand {
  static override summary = "run everything on this machine: a demo fleet, its plan, a model and an answer";
  static override description =
    "Makes a demo fleet repository (or uses the one it made before, with your changes), starts a neuron and a gateway on loopback, plans, applies, asks one question, and stays up until Ctrl-C.";
  static override examples = [
    "<%= config.bin %> up",
    "<%= config.bin %> up --once",
    "<%= config.bin %> up --simulate canonical",
    "<%= config.bin %> up --simulate canonical --script faults.toml",
    "<%= config.bin %> up --directory ./my-fleet --gateway-port 8080",
  ];
  static override flags = {
    directory: Flags.string({
      helpValue: "DIR",
      summary: "where the demo fleet repository is, or shall be; default: demo-fleet in the data directory",
    }),
    simulate: Flags.option({
      options: Object.keys(SIMULATED_FLEETS),
      summary: "a fleet of machines that are not there, in the place of this one",
    })(),
    script: Flags.string({
      helpValue: "FILE",
      dependsOn: ["simulate"],
      summary:
        "faults of the simulated machines, and what their models answer (docs/fault-scripts.md); what fails is told, and the fleet stays up",
    }),
    once: Flags.boolean({ summary: "stop after the answer instead of staying up" }),
    "gateway-port": port("port of the API", DEMO_PORTS.gateway),
    "metrics-port": port("port of the metrics", DEMO_PORTS.metrics),
    "neuron-port": port("port of the neuron", DEMO_PORTS.neuron),
    "log-level": logLevelFlag("warn"),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(UpCommand);
    const [{ missingEngine }, { engineVersions }] = await Promise.all([
      import("../neuron/machine/engine-on-hand.ts"),
      import("../platform/package-paths.ts"),
    ]);
    // Before a repository is made and processes start: without the engine there is no answer at the end.
    const missing = missingEngine(engineVersions());
    if (missing !== null) throw missing;
    const [{ runDemo }, { systemClock }, { createLogger }, { serveUntilSignal }] = await Promise.all([
      import("../demo/io/run-demo.ts"),
      import("../platform/system-clock.ts"),
      import("../platform/logger.ts"),
      import("../cli/serve-until-signal.ts"),
    ]);
    const { simulate } = flags;
    const simulated = simulate === undefined ? undefined : SIMULATED_FLEETS[simulate];
    const script = flags.script === undefined ? undefined : await readFleetScript(flags.script);
    const folder = simulate === undefined ? "demo-fleet" : `${simulate}-fleet`;
    const directory = flags.directory ?? join(this.environment.dataDirectory, folder);
    const ports = {
      gateway: flags["gateway-port"],
      metrics: flags["metrics-port"],
      neuron: flags["neuron-port"],
    };
    const progress = new UpProgress({ json: this.jsonEnabled(), colour: this.environment.colour });
    await serveUntilSignal(
      async (signal) => {
        const demo = await runDemo(
          { directory, ports, simulated, script },
          {
            clock: systemClock,
            logger: createLogger({ name: "up", level: flags["log-level"] }),
            environment: this.environment,
            onEvent: (event) => {
              progress.show(event);
            },
            signal,
          },
        );
        if (flags.once) return demo;
        progress.show({ type: "up", base_url: demo.baseUrl, directory });
        this.show(`\n${usageText({ ...demo, directory })}`);
        return demo;
      },
      { once: flags.once },
    );
  }
}

async function readFleetScript(path: string) {
  const { parseFleetScript } = await import("../neuron/machine/fault-script.ts");
  const text = await readFile(path, "utf8").catch((thrown: unknown) => {
    throw new CortexError("usage_error", `the script ${path} cannot be read`, { cause: thrown });
  });
  const script = parseFleetScript(text, path);
  if (!script.ok) throw script.error;
  return script.value;
}
