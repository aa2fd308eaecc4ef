import { Args, Flags } from "@oclif/core";
import { BaseCommand } from "../cli/base-command.ts";
import { apiKeyFileFlag, endpointFlag } from "../cli/flags/fleet-flags.ts";
import { connectView, endpointView } from "../cli/view/connect-view.ts";
import { EXIT } from "../core/errors.ts";

/** A cold load of a large model may be the first thing that a check waits for. */
const CHECK_TIMEOUT_MS = 120_000;

export default class ConnectCommand extends BaseCommand {
  static override summary = "show how to point a client at the gateway, and check that it answers";
  static override description =
    "Prints the lines for curl and the OpenAI SDKs. With --check it uses the endpoint as a client would: lists models, chats, calls a tool, asks for a model that is not there.";
  static override examples = [
    "<%= config.bin %> connect",
    "<%= config.bin %> connect cortex/demo --check",
    "<%= config.bin %> connect --gateway http://gateway.internal:31313 --check --json",
  ];
  static override args = {
    model: Args.string({ description: "the model to name; default: the first of the list" }),
  };
  static override flags = {
    gateway: endpointFlag,
    "api-key-file": apiKeyFileFlag,
    check: Flags.boolean({ summary: "use the endpoint and say what happened; exits 1 when a check fails" }),
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(ConnectCommand);
    const baseUrl = flags.gateway.replace(/\/+$/, "");
    if (!flags.check) {
      const { connectionText } = await import("../client/connection-text.ts");
      const endpoint = { baseUrl, model: args.model ?? "cortex/demo" };
      return this.present(connectView(endpoint, connectionText(endpoint)));
    }
    const [{ checkEndpoint }, { systemClock }] = await Promise.all([
      import("../client/io/check-endpoint.ts"),
      import("../platform/system-clock.ts"),
    ]);
    const report = await checkEndpoint({
      baseUrl,
      apiKey: await this.readToken(flags["api-key-file"]),
      ...(args.model === undefined ? {} : { model: args.model }),
      clock: systemClock,
      signal: AbortSignal.timeout(CHECK_TIMEOUT_MS),
    });
    if (report.checks.some(({ outcome }) => outcome === "failed")) process.exitCode = EXIT.failed;
    return this.present(endpointView(baseUrl, report));
  }
}
