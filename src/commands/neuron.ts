import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import * as Flags from "@oclif/core/flags";
import type { InferredFlags } from "@oclif/core/interfaces";
import { BaseCommand } from "../cli/base-command.ts";
import { logLevelFlag, portFlag } from "../cli/flags/fleet-flags.ts";
import { serveUntilSignal } from "../cli/serve-until-signal.ts";
import { localUrl, NEURON_DEFAULT_PORT } from "../core/addresses.ts";
import { CortexError } from "../core/errors.ts";
import { MIB_BYTES } from "../core/quantities.ts";
import type { SimulationConfig } from "../neuron/io/simulation.ts";
import type { WorkerProcesses } from "../neuron/launch/io/worker-processes.ts";
import type { FaultScript } from "../neuron/machine/fault-script.ts";
import type { Member, MemberDeps } from "../trust/io/member.ts";

export default class NeuronCommand extends BaseCommand {
  static override summary = "run on each machine: hold models in worker processes and answer for them";
  static override description =
    "Finds the machine's devices, loads and unloads models when asked, one process per model, and serves inference. It listens on loopback unless told otherwise; any other address needs a certificate of the fleet (cortex neuron join) or a token. With OTEL_EXPORTER_OTLP_ENDPOINT set, traces of its gateways go on here.";
  static override examples = [
    "<%= config.bin %> neuron",
    "<%= config.bin %> neuron --model-root /srv/models",
    "<%= config.bin %> neuron --engine /opt/vllm/bin/vllm",
    '<%= config.bin %> neuron --simulate "2x32GiB RTX 5090"',
    "<%= config.bin %> neuron --host 10.0.0.5 --token-file /etc/cortex/neuron.token",
  ];
  static override flags = {
    host: Flags.string({ env: "CORTEX_NEURON_HOST", default: "127.0.0.1", summary: "address to listen on" }),
    port: portFlag("port to listen on; 0 = a free one", {
      env: "CORTEX_NEURON_PORT",
      least: 0,
      fallback: NEURON_DEFAULT_PORT,
    }),
    "model-root": Flags.string({
      env: "CORTEX_MODEL_ROOT",
      multiple: true,
      multipleNonGreedy: true,
      helpValue: "DIR",
      summary:
        "directory that model files may be in; repeatable; before the user's store and the shipped models",
    }),
    "memory-limit": Flags.integer({
      env: "CORTEX_NEURON_MEMORY_LIMIT",
      min: 1,
      helpValue: "MIB",
      summary: "use at most this much memory of each device, so that other programs keep theirs",
    }),
    gpu: Flags.boolean({
      env: "CORTEX_NEURON_GPU",
      default: true,
      allowNo: true,
      summary: "use the machine's GPUs; --no-gpu leaves them to others and computes on the processor",
    }),
    hibernate: Flags.integer({
      env: "CORTEX_NEURON_HIBERNATE",
      min: 1,
      helpValue: "MIB",
      summary:
        "keep computed conversations of unloaded models in files, so much at most and for a week: they go on without being computed anew",
    }),
    engine: Flags.string({
      env: "CORTEX_NEURON_ENGINE",
      multiple: true,
      multipleNonGreedy: true,
      helpValue: "PATH",
      summary:
        "program that fleet files may have run here as an external engine (`command` of a model), such as /opt/vllm/bin/vllm; repeatable; none by default",
    }),
    simulate: Flags.string({
      env: "CORTEX_NEURON_SIMULATE",
      helpValue: "DEVICES",
      summary:
        'devices that are not there, such as "2x32GiB RTX 5090": memory and load times as on them, answers from the processor',
    }),
    script: Flags.string({
      env: "CORTEX_NEURON_SCRIPT",
      helpValue: "FILE",
      dependsOn: ["simulate"],
      summary: "faults of the simulated machine, and what its models answer (docs/fault-scripts.md)",
    }),
    "worker-grace": Flags.integer({
      env: "CORTEX_NEURON_WORKER_GRACE",
      min: 0,
      default: 120,
      helpValue: "SECS",
      summary:
        "how long loaded models live on when this process is killed, or handed over by SIGUSR2, for the next neuron on the port to take over; 0 = not at all",
    }),
    "token-file": Flags.string({
      env: "CORTEX_NEURON_TOKEN_FILE",
      helpValue: "PATH",
      summary: "file with the token that callers must send (mode 600)",
    }),
    "log-level": logLevelFlag("info"),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(NeuronCommand);
    const [{ openWorkerProcesses }, { missingEngine }, { engineVersions }] = await Promise.all([
      import("../neuron/launch/io/worker-processes.ts"),
      import("../neuron/machine/engine-on-hand.ts"),
      import("../platform/package-paths.ts"),
    ]);
    const loadsItself = flags.simulate === undefined && missingEngine(engineVersions()) === null;
    // A process of its own reads the worker's program while this one reads the rest of the neuron's.
    const processes = await openWorkerProcesses({ keepsOne: loadsItself });
    let isUp = false;
    const onUp = (): void => {
      isUp = true;
    };
    try {
      await this.#serve(flags, { processes, onUp });
    } catch (thrown) {
      if (!isUp) processes.discard();
      throw thrown;
    }
  }

  async #serve(
    flags: InferredFlags<typeof NeuronCommand.flags>,
    { processes, onUp }: { readonly processes: WorkerProcesses; readonly onUp: () => void },
  ): Promise<void> {
    const [{ startNeuron }, { systemClock }, { createLogger }, { gitSha, shippedModelsDirectory }] =
      await Promise.all([
        import("../neuron/io/start-neuron.ts"),
        import("../platform/system-clock.ts"),
        import("../platform/logger.ts"),
        import("../platform/package-paths.ts"),
      ]);
    const token = await this.readToken(flags["token-file"]);
    const memoryLimitMib = flags["memory-limit"];
    const logger = createLogger({ name: "neuron", level: flags["log-level"] });
    const member = await this.#openMember({ clock: systemClock, logger });
    const modelRoots = [
      ...(flags["model-root"] ?? []),
      join(this.environment.dataDirectory, "models"),
      shippedModelsDirectory(),
    ];
    const simulation =
      flags.simulate === undefined ? undefined : await readSimulation(flags.simulate, flags.script);
    await serveUntilSignal(
      async () => {
        const neuron = await startNeuron(
          {
            host: flags.host,
            port: flags.port,
            modelRoots,
            token,
            member,
            ...this.#keeps(flags),
            engines: flags.engine?.map((path) => resolve(path)),
            memoryLimitMib,
            usesGpu: flags.gpu,
            simulation,
            orphanGraceMs: flags["worker-grace"] * 1000,
            tracing: this.environment.tracing === undefined ? undefined : {},
            gitSha: gitSha(),
          },
          { clock: systemClock, logger, processes },
        );
        onUp();
        const url = localUrl({ ...neuron.address, isTls: member !== undefined });
        const devices = neuron.discovery.devices.map(({ name }) => name);
        const simulated = simulation === undefined ? "" : " (simulated)";
        this.announce(
          { type: "listening", url, devices },
          `neuron listening on ${url} with ${devices.join(", ")}${simulated}`,
        );
        member?.start();
        return neuron;
      },
      { handsOver: true },
    );
    await member?.close();
  }

  /** By port: several neurons of one user keep apart. One that takes any free port is a new one each time. */
  #keeps({ port, hibernate }: { readonly port: number; readonly hibernate: number | undefined }) {
    const { dataDirectory } = this.environment;
    const stateDirectory = port === 0 ? undefined : join(dataDirectory, "neurons", String(port));
    if (hibernate === undefined) return { stateDirectory };
    const directory = join(stateDirectory ?? dataDirectory, "hibernated");
    return { stateDirectory, hibernation: { directory, mostBytes: hibernate * MIB_BYTES } };
  }

  /** The certificate of this machine, where it has joined a fleet. */
  async #openMember(deps: MemberDeps): Promise<Member | undefined> {
    const { hasCertificate } = await import("../trust/io/has-certificate.ts");
    if (!(await hasCertificate(this.environment.dataDirectory, "neuron"))) return undefined;
    const [{ Member }, { identityPath }] = await Promise.all([
      import("../trust/io/member.ts"),
      import("../trust/places.ts"),
    ]);
    return (await Member.open(identityPath(this.environment.dataDirectory, "neuron"), deps)) ?? undefined;
  }
}

async function readSimulation(text: string, scriptPath?: string): Promise<SimulationConfig> {
  const [{ parseSimulatedDevices }, { DEMO_MODEL_SOURCE }] = await Promise.all([
    import("../neuron/machine/simulated-devices.ts"),
    import("../demo/demo-fleet.ts"),
  ]);
  const devices = parseSimulatedDevices(text);
  if (!devices.ok) throw devices.error;
  const script = scriptPath === undefined ? undefined : await readScript(scriptPath);
  return { devices: devices.value, standIn: DEMO_MODEL_SOURCE, script };
}

async function readScript(path: string): Promise<FaultScript> {
  const { parseFaultScript } = await import("../neuron/machine/fault-script.ts");
  const text = await readFile(path, "utf8").catch((thrown: unknown) => {
    throw new CortexError("usage_error", `the script ${path} cannot be read`, { cause: thrown });
  });
  const script = parseFaultScript(text, path);
  if (!script.ok) throw script.error;
  return script.value;
}
