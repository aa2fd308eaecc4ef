import { Command } from "@oclif/core/command";
import * as Errors from "@oclif/core/errors";
import { CortexError, errorKind, toCortexError } from "../core/errors.ts";
import { nearest } from "../core/nearest.ts";
import { readEnvironment, type Environment } from "../platform/environment.ts";
import type { Logger } from "../platform/logger.ts";
import type { NeuronAccess } from "../protocol/io/neuron-client.ts";
import { errorToJson, printError } from "./print/print-error.ts";
import { wrapText } from "./print/wrap-text.ts";
import type { Look, View } from "./view/view.ts";
import type { WatchOptions } from "./watch-view.ts";

const WATCH_EVERY_MS = 2000;

/**
 * What every command shares: `--json`, the only catch, exit codes from the error table.
 * A command parses, makes one call and returns what a view makes of the answer.
 */
export abstract class BaseCommand extends Command {
  static override enableJsonFlag = true;

  readonly environment: Environment = readEnvironment();

  /** Plain text on stdout, nothing with `--json`. */
  show(text: string): void {
    if (!this.jsonEnabled()) process.stdout.write(`${text}\n`);
  }

  /** For people on stdout; what programs read is returned, and oclif prints it with `--json`. */
  present<Json>(view: View<Json>): Json {
    const text = this.jsonEnabled() ? "" : view.human(this.#look());
    if (text !== "") this.show(view.wraps ? wrapText(text, process.stdout.columns) : text);
    return view.json;
  }

  /** The same, with `--watch` again and again until Ctrl-C. */
  async presentOrWatch<Json>(
    {
      watch,
      interval: everyMs = WATCH_EVERY_MS,
    }: { readonly watch: boolean; readonly interval?: number | undefined },
    read: () => Promise<View<Json>>,
    news?: WatchOptions["news"],
  ): Promise<Json | undefined> {
    if (!watch) return this.present(await read());
    const [{ watchView }, { systemClock }, { listenForShutdown }] = await Promise.all([
      import("./watch-view.ts"),
      import("../platform/system-clock.ts"),
      import("../platform/shutdown.ts"),
    ]);
    const shutdown = listenForShutdown();
    const { stdout } = process;
    try {
      await watchView(read, {
        everyMs,
        json: this.jsonEnabled(),
        look: this.#look(),
        output: {
          write: (text) => stdout.write(text),
          size: () =>
            this.environment.liveScreen ? { columns: stdout.columns, rows: stdout.rows } : undefined,
        },
        clock: systemClock,
        signal: shutdown.first,
        news,
      });
    } finally {
      shutdown.dispose();
    }
    return undefined;
  }

  #look(): Look {
    const { colour, unicode } = this.environment;
    return { colour, unicode, columns: process.stdout.isTTY ? process.stdout.columns : undefined };
  }

  /** A token that a flag names the file of. Throws `token_file_unsafe`. */
  async readToken(path: string | undefined): Promise<string | undefined> {
    if (path === undefined) return undefined;
    const { readTokenFile } = await import("../platform/token-file.ts");
    return readTokenFile(path);
  }

  /**
   * What neurons are called with: the token of the flag, and this user's certificate where there is one. Throws
   * `token_file_unsafe` or `identity_unusable`.
   */
  async neuronAccess(tokenPath: string | undefined): Promise<NeuronAccess> {
    const { access } = await this.openNeuronAccess(tokenPath, { follows: false });
    return access;
  }

  /** The same for a service, which hears of revocations while it runs. */
  protected async openNeuronAccess(
    tokenPath: string | undefined,
    { follows, logger }: { readonly follows: boolean; readonly logger?: Logger },
  ): Promise<{ readonly access: NeuronAccess; readonly close: () => void }> {
    const { dataDirectory } = this.environment;
    const [token, { hasCertificate }] = await Promise.all([
      this.readToken(tokenPath),
      import("../trust/io/has-certificate.ts"),
    ]);
    if (!(await hasCertificate(dataDirectory))) return { access: { token }, close: () => undefined };
    const [{ openNeuronAccess }, { systemClock }, { createLogger }] = await Promise.all([
      import("../trust/io/neuron-access.ts"),
      import("../platform/system-clock.ts"),
      import("../platform/logger.ts"),
    ]);
    const log = logger ?? createLogger({ name: "cortex", level: "silent" });
    return openNeuronAccess({ dataDirectory, token, clock: systemClock, logger: log, follows });
  }

  /** One line about a service that goes on running: text, or with `--json` the same as one JSON object. */
  announce(facts: Readonly<Record<string, unknown>>, text: string): void {
    process.stdout.write(`${this.jsonEnabled() ? JSON.stringify(facts) : text}\n`);
  }

  /** Progress and remarks: stderr, so that stdout can be piped. */
  remark(text: string): void {
    if (!this.jsonEnabled()) process.stderr.write(`${wrapText(text, process.stderr.columns)}\n`);
  }

  /** With `--json` the command writes one event a line, and so its error is one line too. */
  protected readonly writesEvents: boolean = false;

  override catch(thrown: Error): Promise<void> {
    if (thrown instanceof Errors.ExitError) {
      process.exitCode = thrown.oclif.exit ?? 0;
      return Promise.resolve();
    }
    const error = this.#describe(thrown);
    process.exitCode = errorKind(error.code).exitCode;
    if (this.jsonEnabled()) {
      const text = this.writesEvents
        ? JSON.stringify({ type: "error", ...errorToJson(error) })
        : JSON.stringify(errorToJson(error), undefined, 2);
      process.stdout.write(`${text}\n`);
    } else {
      const text = printError(error, { colour: this.environment.stderrColour });
      process.stderr.write(`${wrapText(text, process.stderr.columns)}\n`);
      const cause = error.code === "internal_error" && thrown.stack !== undefined ? thrown.stack : undefined;
      if (cause !== undefined) process.stderr.write(`${cause}\n`);
    }
    return Promise.resolve();
  }

  #describe(thrown: Error): CortexError {
    if (!(thrown instanceof Errors.CLIError)) return toCortexError(thrown);
    const message = thrown.message.replace(/\nSee more help with --help$/, "");
    return new CortexError("usage_error", message, { next: this.#usageHelp(thrown), cause: thrown });
  }

  /** The flag that was most likely meant, and where the others are listed. oclif keeps the error's class to itself. */
  #usageHelp({ message }: Errors.CLIError): string {
    const help = `cortex ${(this.id ?? "").replaceAll(":", " ")} --help`;
    const [, unknown = ""] = /^Nonexistent flags?: (.*)/.exec(message) ?? [];
    const known = Object.keys(this.ctor.flags).map((name) => `--${name}`);
    const meant = unknown.split(", ").flatMap((flag) => nearest(flag, known) ?? []);
    return meant.length === 0 ? help : `did you mean ${meant.join(", ")}? ${help} lists them`;
  }

  protected override toSuccessJson(result: unknown): unknown {
    return result;
  }
}
