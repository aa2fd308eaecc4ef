import * as Args from "@oclif/core/args";
import * as Flags from "@oclif/core/flags";
import { BaseCommand } from "../cli/base-command.ts";
import { apiKeyFileFlag } from "../cli/flags/fleet-flags.ts";
import { benchView } from "../cli/tables/bench-view.ts";
import type { BenchReport, LoadMode } from "../protocol/findings/bench-report.ts";
import { CortexError, EXIT } from "../core/errors.ts";

const HISTOGRAM_BARS = 10;

export default class BenchCommand extends BaseCommand {
  static override summary = "measure any OpenAI-compatible endpoint: first token, between tokens, throughput";
  static override description =
    "Sends streamed chats with prompts that no cache knows. With --clients each client asks again as soon as it has its answer (a closed loop); with --rate requests come by chance, so many a second, whether the others are answered or not (an open loop), and each is timed from when it was due. Ctrl-C begins no more and reports what came. Exit code 1 when any request failed.";
  static override examples = [
    "<%= config.bin %> bench http://127.0.0.1:31313 --model cortex/demo",
    "<%= config.bin %> bench http://127.0.0.1:31313 --model cortex/demo --clients 8 --requests 200 --chart latency.svg",
    "<%= config.bin %> bench http://127.0.0.1:31313 --model cortex/demo --rate 4 --json",
  ];
  static override args = {
    url: Args.string({ required: true, description: "base URL of the endpoint, without /v1" }),
  };
  static override flags = {
    model: Flags.string({ required: true, helpValue: "MODEL", summary: "model that is asked" }),
    clients: Flags.integer({
      min: 1,
      max: 10_000,
      default: 4,
      exclusive: ["rate"],
      summary: "closed loop: clients that ask one request after the other",
    }),
    rate: Flags.string({ helpValue: "N", summary: "open loop: requests a second, such as 2.5" }),
    requests: Flags.integer({ min: 1, max: 1_000_000, default: 40, summary: "requests in all" }),
    "prompt-words": Flags.integer({ min: 1, max: 100_000, default: 100, summary: "words of each prompt" }),
    "max-tokens": Flags.integer({ min: 1, default: 64, summary: "tokens that an answer may have" }),
    seed: Flags.integer({ min: 0, default: 1, summary: "other prompts, and other times of an open loop" }),
    chart: Flags.string({ helpValue: "FILE", summary: "write a chart to FILE, as SVG" }),
    "api-key-file": apiKeyFileFlag,
  };

  async run(): Promise<BenchReport> {
    const { flags, args } = await this.parse(BenchCommand);
    const [{ runLoad }, { measureAnswer }, { summarize }, chart, { promptsOf }, { systemClock }, shutdowns] =
      await Promise.all([
        import("../client/measure/io/run-load.ts"),
        import("../client/measure/io/measure-answer.ts"),
        import("../client/measure/measured-load.ts"),
        import("../client/measure/load-chart.ts"),
        import("../client/measure/prompts.ts"),
        import("../platform/system-clock.ts"),
        import("../platform/shutdown.ts"),
      ]);
    const { model, requests, seed } = flags;
    const mode = modeOf(flags);
    const url = baseUrlOf(args.url);
    const apiKey = await this.readToken(flags["api-key-file"]);
    const prompts = promptsOf(requests, flags["prompt-words"], seed);
    const shutdown = shutdowns.listenForShutdown();
    const outcome = await runLoad({
      mode,
      requests,
      seed,
      clock: systemClock,
      signal: shutdown.first,
      onProgress: this.#progress(requests),
      ask: (at, dueMs) => {
        const messages = [{ role: "user", content: prompts[at] ?? "" }];
        const body = { model, messages, max_tokens: flags["max-tokens"] };
        const path = "/v1/chat/completions";
        return measureAnswer({
          baseUrl: url,
          path,
          apiKey,
          body,
          clock: systemClock,
          dueMs,
          signal: shutdown.second,
        });
      },
    });
    shutdown.dispose();
    const report = summarize({ ...outcome, url, model, mode });
    if (flags.chart !== undefined) {
      const { writeFile } = await import("node:fs/promises");
      await writeFile(flags.chart, chart.svgChart(report));
      this.remark(`chart written to ${flags.chart}`);
    }
    if (report.failed.length > 0) process.exitCode = EXIT.failed;
    const histogram = chart.histogramOf(report.first_token_samples_ms, HISTOGRAM_BARS);
    return this.present(benchView(report, { mode: chart.modeText(report), histogram }));
  }

  /** Whoever sits at a terminal sees how far it is; nobody else wants to. */
  #progress(requests: number): (done: number) => void {
    const { stderr } = process;
    if (!stderr.isTTY || this.jsonEnabled()) return () => undefined;
    return (done) => {
      stderr.write(done === requests ? "\r\u001B[K" : `\r${done} of ${requests}`);
    };
  }
}

function modeOf({
  rate,
  clients,
}: {
  readonly rate: string | undefined;
  readonly clients: number;
}): LoadMode {
  if (rate === undefined) return { kind: "closed", clients };
  const perSecond = Number(rate);
  if (perSecond > 0 && Number.isFinite(perSecond)) return { kind: "open", perSecond };
  throw new CortexError("usage_error", `--rate ${rate} is no number of requests a second`, {
    next: "a number above 0, such as --rate 2.5",
  });
}

function baseUrlOf(text: string): string {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol))
    throw new CortexError("usage_error", `${text} is no URL`, { next: "such as http://127.0.0.1:31313" });
  return text.replace(/\/+$/, "").replace(/\/v1$/, "");
}
