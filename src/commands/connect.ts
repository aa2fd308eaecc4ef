import { resolve } from "node:path";
import * as Args from "@oclif/core/args";
import * as Flags from "@oclif/core/flags";
import { askConsent } from "../cli/ask-consent.ts";
import { BaseCommand } from "../cli/base-command.ts";
import { apiKeyFileFlag, endpointFlag } from "../cli/flags/fleet-flags.ts";
import { conformStepText, conformView } from "../cli/view/conform-view.ts";
import { clientSettingsView, connectView, endpointView, writtenView } from "../cli/view/connect-view.ts";
import type { ConformReport } from "../client/conform/conform-report.ts";
import type { clientSettings, Endpoint } from "../client/settings/client-settings.ts";
import type { PlannedWrite } from "../client/settings/io/write-settings.ts";
import { CortexError, EXIT } from "../core/errors.ts";
import { systemClock } from "../platform/system-clock.ts";

/** A cold load of a large model may be the first thing that a check waits for. */
const CHECK_TIMEOUT_MS = 120_000;

type Settings = ReturnType<typeof clientSettings>;

export default class ConnectCommand extends BaseCommand {
  static override summary = "point a client at the gateway, and check that it answers";
  static override description =
    "Prints the lines for curl and the OpenAI SDKs, or the settings of one client: claude-code, codex, opencode, qwen-code, aider, continue, cline, zed, pi, open-webui, ollama, openai-sdk, anthropic-sdk. With --write it puts them where the client looks, next to what else is there, and keeps a copy of what was. No key is ever written: settings name the file or the variable that holds it. With --check it uses the endpoint as that client would: lists models, streams, calls a tool, gives back its result, asks what is wrong.";
  static override examples = [
    "<%= config.bin %> connect",
    "<%= config.bin %> connect codex --model org/model",
    "<%= config.bin %> connect claude-code --api-key-file ~/.cortex-key --write",
    "<%= config.bin %> connect opencode --file ./opencode.json --write --yes --check",
    "<%= config.bin %> connect --gateway http://gateway.internal:31313 --check --json",
  ];
  static override args = {
    target: Args.string({ description: "a client to make the settings of, or else the model to name" }),
  };
  static override flags = {
    gateway: endpointFlag,
    "api-key-file": apiKeyFileFlag,
    model: Flags.string({
      helpValue: "MODEL",
      summary: "the model to name; default: the first that is listed",
    }),
    context: Flags.integer({
      min: 1,
      helpValue: "TOKENS",
      summary: "what the model can hold; default: what the gateway lists",
    }),
    write: Flags.boolean({ summary: "put the settings into the client's file" }),
    file: Flags.string({
      helpValue: "PATH",
      dependsOn: ["write"],
      summary: "the client's file; default: where it looks in your home directory",
    }),
    yes: Flags.boolean({ char: "y", dependsOn: ["write"], summary: "write without asking" }),
    check: Flags.boolean({ summary: "use the endpoint and say what happened; exits 1 when a check fails" }),
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(ConnectCommand);
    const { isClientName } = await import("../client/settings/client-settings.ts");
    const { target } = args;
    if (target !== undefined && isClientName(target)) return await this.#connectClient(target, flags);
    if (flags.write) {
      throw new CortexError("usage_error", "--write needs a client", {
        next: "name one: cortex connect codex --write; cortex connect --help lists them",
      });
    }
    const baseUrl = flags.gateway.replace(/\/+$/, "");
    const model = flags.model ?? target;
    if (!flags.check) {
      const { connectionText } = await import("../client/connection-text.ts");
      const endpoint = { baseUrl, model: model ?? "cortex/demo" };
      return this.present(connectView(endpoint, connectionText(endpoint)));
    }
    const { checkEndpoint } = await import("../client/io/check-endpoint.ts");
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

  async #connectClient(
    client: Parameters<typeof clientSettings>[0],
    flags: {
      readonly gateway: string;
      readonly model: string | undefined;
      readonly context: number | undefined;
      readonly "api-key-file": string | undefined;
      readonly write: boolean;
      readonly file: string | undefined;
      readonly yes: boolean;
      readonly check: boolean;
    },
  ): Promise<unknown> {
    const apiKey = await this.readToken(flags["api-key-file"]);
    const endpoint = await this.#endpoint(flags, apiKey);
    const { clientSettings: settingsOf } = await import("../client/settings/client-settings.ts");
    const settings = settingsOf(client, endpoint);
    const shown = await this.#settingsView(settings, endpoint);
    const written = flags.write
      ? await this.#write(client, settings, { ...flags, shown: shown.human })
      : null;
    const report = flags.check ? await this.#check(settings, endpoint, apiKey) : null;
    if (written === null && report === null) return this.present(shown);
    return {
      ...shown.json,
      ...(written === null ? {} : { written }),
      ...(report === null ? {} : { check: report }),
    };
  }

  async #endpoint(
    flags: {
      readonly gateway: string;
      readonly model: string | undefined;
      readonly context: number | undefined;
      readonly "api-key-file": string | undefined;
    },
    apiKey: string | undefined,
  ): Promise<Endpoint> {
    const baseUrl = flags.gateway.replace(/\/+$/, "").replace(/\/v1$/, "");
    const { readModel } = await import("../client/io/read-model.ts");
    const listed = await readModel({ baseUrl, apiKey, clock: systemClock }, flags.model);
    const model = flags.model ?? listed?.id;
    if (model === undefined) {
      throw new CortexError("upstream_connection_error", `${baseUrl} does not say which models it has`, {
        next: "name one with --model, or another gateway with --gateway",
      });
    }
    const keyFile = flags["api-key-file"];
    return {
      baseUrl,
      model,
      context: flags.context ?? listed?.context ?? null,
      keyFile: keyFile === undefined ? null : resolve(keyFile),
    };
  }

  async #settingsView(settings: Settings, endpoint: Endpoint) {
    const { mergeSettings } = await import("../client/settings/merge-settings.ts");
    const text = settings.file === null ? null : mergeSettings("", settings.file).trimEnd();
    return clientSettingsView(endpoint, { ...settings, text });
  }

  async #write(
    client: string,
    { file }: Settings,
    how: {
      readonly file: string | undefined;
      readonly yes: boolean;
      readonly shown: (look: { readonly colour: boolean }) => string;
    },
  ): Promise<unknown> {
    if (file === null) {
      throw new CortexError("usage_error", `${client} has no file of settings that could be written`, {
        next: `run the lines of: cortex connect ${client}`,
      });
    }
    const { planWrite, carryOutWrite } = await import("../client/settings/io/write-settings.ts");
    const { homeDirectory } = this.environment;
    const plan = await planWrite(file, { homeDirectory, path: how.file });
    if (!plan.isSame && !how.yes) {
      this.show(how.shown({ colour: this.environment.colour }));
      await this.#agree(plan);
    }
    const backup = plan.isSame ? null : await carryOutWrite(plan);
    return this.present(writtenView(plan, backup));
  }

  async #agree({ path, before }: PlannedWrite): Promise<void> {
    const what = before === null ? `Write ${path}?` : `Put this into ${path}? What else it says stays.`;
    if (this.jsonEnabled() || !process.stdin.isTTY) {
      throw new CortexError("confirmation_required", `nobody is there to agree that ${path} is written`);
    }
    if (!(await askConsent(what))) throw new CortexError("interrupted", "nothing was written");
  }

  async #check(settings: Settings, endpoint: Endpoint, apiKey: string | undefined): Promise<ConformReport> {
    const { runConform } = await import("../client/conform/io/run-conform.ts");
    const look = { colour: this.environment.colour };
    const report = await runConform({
      baseUrl: endpoint.baseUrl,
      dialect: settings.dialect,
      model: endpoint.model,
      cold: undefined,
      contextTokens: undefined,
      scope: "client",
      apiKey,
      clock: systemClock,
      timeoutMs: CHECK_TIMEOUT_MS,
      signal: new AbortController().signal,
      onStep: (step) => {
        this.show(conformStepText(step, look));
      },
    });
    if (!report.conforms) process.exitCode = EXIT.failed;
    const view = conformView(report, { short: true });
    this.show(view.human(look));
    return report;
  }
}
