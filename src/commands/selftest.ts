import { writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import * as Flags from "@oclif/core/flags";
import { BaseCommand } from "../cli/base-command.ts";
import { logLevelFlag } from "../cli/flags/fleet-flags.ts";
import { selfTestView } from "../cli/view/self-test-view.ts";
import { CortexError } from "../core/errors.ts";
import { DEMO_MODEL_SOURCE } from "../demo/demo-fleet.ts";
import type { SelfTestReport } from "../protocol/demo-events.ts";

const DEFAULT_STREAMS = [1, 8, 32];

export default class SelfTestCommand extends BaseCommand {
  static override summary =
    "prove that this machine can serve: devices, a load, 1 to 32 streams, and all memory back";
  static override description =
    "Starts a neuron of its own on loopback, loads a small model (the one that ships with cortex, or yours), and measures: load time, memory on the device before, while and after, tokens per second, how fast a client that leaves frees its slot, two models on one device. Ends with 1 if one of the checks fails.";
  static override examples = [
    "<%= config.bin %> selftest",
    "<%= config.bin %> selftest --model /srv/models/qwen3-8b-q6_k.gguf --json-into selftest.json",
    "<%= config.bin %> selftest --streams 1 --streams 4 --json",
  ];
  static override flags = {
    model: Flags.string({ helpValue: "FILE", summary: "GGUF file to load; default: the demo model" }),
    streams: Flags.integer({
      multiple: true,
      multipleNonGreedy: true,
      min: 1,
      max: 64,
      helpValue: "N",
      summary: `how many answers at once; repeatable; default: ${DEFAULT_STREAMS.join(", ")}`,
    }),
    tokens: Flags.integer({
      min: 1,
      max: 400,
      default: 64,
      helpValue: "N",
      summary: "length of an answer, at most",
    }),
    "json-into": Flags.string({ helpValue: "FILE", summary: "write the report to this file too" }),
    "log-level": logLevelFlag("warn"),
  };

  async run(): Promise<SelfTestReport> {
    const { flags } = await this.parse(SelfTestCommand);
    const [
      { runSelfTest },
      { systemClock },
      { createLogger },
      { shippedModelsDirectory },
      { listenForShutdown },
    ] = await Promise.all([
      import("../demo/io/self-test.ts"),
      import("../platform/system-clock.ts"),
      import("../platform/logger.ts"),
      import("../platform/package-paths.ts"),
      import("../platform/shutdown.ts"),
    ]);
    const shutdown = listenForShutdown();
    const modelRoots = [join(this.environment.dataDirectory, "models"), shippedModelsDirectory()];
    const path = flags.model === undefined ? undefined : resolve(flags.model);
    const report = await runSelfTest(
      {
        source: path === undefined ? DEMO_MODEL_SOURCE : `file:${path}`,
        modelRoots: path === undefined ? modelRoots : [...modelRoots, join(path, "..")],
        streams: flags.streams ?? DEFAULT_STREAMS,
        tokens: flags.tokens,
      },
      {
        clock: systemClock,
        logger: createLogger({ name: "selftest", level: flags["log-level"] }),
        signal: shutdown.first,
        onStep: (text) => {
          this.remark(text);
        },
      },
    ).catch((thrown: unknown) => {
      throw shutdown.first.aborted ? new CortexError("interrupted", "stopped before the end") : thrown;
    });
    shutdown.dispose();
    const into = flags["json-into"];
    if (into !== undefined) await writeFile(into, `${JSON.stringify(report, undefined, 2)}\n`);
    if (!report.ok) process.exitCode = 1;
    return this.present(selfTestView(report));
  }
}
