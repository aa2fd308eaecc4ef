import { Args, Flags } from "@oclif/core";
import { BaseCommand } from "../cli/base-command.ts";
import { apiKeyFileFlag, endpointFlag } from "../cli/flags/fleet-flags.ts";
import { clientSettingsView, connectView, endpointView } from "../cli/view/connect-view.ts";
import { EXIT } from "../core/errors.ts";

/** A cold load of a large model may be the first thing that a check waits for. */
const CHECK_TIMEOUT_MS = 120_000;

export default class ConnectCommand extends BaseCommand {
  static override summary = "show how to point a client at the gateway, and check that it answers";
  static override description =
    "Prints the lines for curl and the OpenAI SDKs, or the settings of one client: claude-code, codex, opencode, qwen-code, aider, continue, ollama. Nothing is written. With --check it uses the endpoint as a client would: lists models, chats, calls a tool, asks for a model that is not there.";
  static override examples = [
    "<%= config.bin %> connect",
    "<%= config.bin %> connect codex --model org/model",
    "<%= config.bin %> connect cortex/demo --check",
    "<%= config.bin %> connect --gateway http://gateway.internal:31313 --check --json",
  ];
  static override args = {
    target: Args.string({ description: "a client to print the settings of, or else the model to name" }),
  };
  static override flags = {
    gateway: endpointFlag,
    "api-key-file": apiKeyFileFlag,
    model: Flags.string({ helpValue: "MODEL", summary: "the model to name" }),
    check: Flags.boolean({ summary: "use the endpoint and say what happened; exits 1 when a check fails" }),
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(ConnectCommand);
    const baseUrl = flags.gateway.replace(/\/+$/, "");
    const { clientSettings, isClientName } = await import("../client/client-settings.ts");
    const { target } = args;
    const client = target !== undefined && isClientName(target) ? target : undefined;
    const model = flags.model ?? (client === undefined ? target : undefined);
    if (!flags.check) {
      const { connectionText } = await import("../client/connection-text.ts");
      const endpoint = { baseUrl, model: model ?? "cortex/demo" };
      if (client !== undefined) {
        return this.present(clientSettingsView(endpoint, clientSettings(client, endpoint)));
      }
      return this.present(connectView(endpoint, connectionText(endpoint)));
    }
    const [{ checkEndpoint }, { systemClock }] = await Promise.all([
      import("../client/io/check-endpoint.ts"),
      import("../platform/system-clock.ts"),
    ]);
    const report = await checkEndpoint({
      baseUrl,
      apiKey: await this.readToken(flags["api-key-file"]),
      ...(model === undefined ? {} : { model }),
      clock: systemClock,
      signal: AbortSignal.timeout(CHECK_TIMEOUT_MS),
    });
    if (report.checks.some(({ outcome }) => outcome === "failed")) process.exitCode = EXIT.failed;
    return this.present(endpointView(baseUrl, report));
  }
}
