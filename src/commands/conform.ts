import * as Args from "@oclif/core/args";
import * as Flags from "@oclif/core/flags";
import { BaseCommand } from "../cli/base-command.ts";
import { apiKeyFileFlag, durationFlag } from "../cli/flags/fleet-flags.ts";
import { conformStepText, conformView } from "../cli/view/conform-view.ts";
import { EXIT } from "../core/errors.ts";

/** A cold load of a large model may be the first thing that is waited for. */
const TIMEOUT_MS = 300_000;

export default class ConformCommand extends BaseCommand {
  static override summary = "hold a server to the rules of a dialect";
  static override description =
    "Asks a server what clients ask it (whole and streamed answers, tools over two turns, errors, clients that leave) and holds each stream to the grammar of its dialect. Works with any server, not only with cortex. docs/conformance.md says the rules, each with a client's reason. Exits 1 where a rule is broken.";
  static override examples = [
    "<%= config.bin %> conform http://127.0.0.1:31313",
    "<%= config.bin %> conform http://127.0.0.1:31313 --dialect anthropic --model org/model",
    "<%= config.bin %> conform http://127.0.0.1:31313 --dialect responses --cold org/large-model",
    "<%= config.bin %> conform http://127.0.0.1:11434 --dialect ollama --json",
  ];
  static override args = {
    url: Args.string({ required: true, description: "base URL of the server, without /v1" }),
  };
  static override flags = {
    dialect: Flags.option({
      options: ["openai", "anthropic", "responses", "ollama"] as const,
      default: "openai",
      summary: "what is spoken to it",
    })(),
    model: Flags.string({
      helpValue: "MODEL",
      summary: "the model to ask; default: the first that is listed",
    }),
    cold: Flags.string({
      helpValue: "MODEL",
      summary: "a model that is not loaded: looks at what a client gets while it loads",
    }),
    context: Flags.integer({
      min: 1,
      helpValue: "TOKENS",
      summary: "what the model can hold, where the list of models does not say so",
    }),
    timeout: durationFlag("timeout", "how long one answer may take; default: 5m"),
    "api-key-file": apiKeyFileFlag,
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(ConformCommand);
    const [{ runConform }, { systemClock }] = await Promise.all([
      import("../client/conform/io/run-conform.ts"),
      import("../platform/system-clock.ts"),
    ]);
    const look = { colour: this.environment.colour };
    const report = await runConform({
      baseUrl: args.url.replace(/\/+$/, "").replace(/\/v1$/, ""),
      dialect: flags.dialect,
      model: flags.model,
      cold: flags.cold,
      contextTokens: flags.context,
      scope: "all",
      apiKey: await this.readToken(flags["api-key-file"]),
      clock: systemClock,
      timeoutMs: flags.timeout ?? TIMEOUT_MS,
      signal: new AbortController().signal,
      onStep: (step) => {
        this.show(conformStepText(step, look));
      },
    });
    if (!report.conforms) process.exitCode = EXIT.failed;
    return this.present(conformView(report));
  }
}
