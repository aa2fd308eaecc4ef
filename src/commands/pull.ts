import { join } from "node:path";
import * as Args from "@oclif/core/args";
import * as Flags from "@oclif/core/flags";
import { BaseCommand } from "../cli/base-command.ts";
import { modelRootFlag } from "../cli/model-root-flag.ts";
import { printPulled } from "../cli/print-store.ts";
import { CortexError } from "../core/errors.ts";
import { formatBytes, formatDuration } from "../core/quantities.ts";
import type { PulledModel } from "../protocol/store-report.ts";

export default class PullCommand extends BaseCommand {
  static override summary = "download a model into this machine's store, before a load needs it";
  static override description =
    "Fetches what a `source` of a model block means: hf:org/repo:TAG, hf:org/repo:file.gguf (with @revision to pin one), or https://... A cut download goes on where it was. HF_ENDPOINT names a mirror, HF_TOKEN opens gated repositories. Run it on the machine of the neuron.";
  static override examples = [
    "<%= config.bin %> pull hf:ggml-org/gemma-3-1b-it-GGUF:Q4_K_M",
    "<%= config.bin %> pull https://models.example/qwen3-8b-q6_k.gguf --model-root /srv/models",
  ];
  static override args = { source: Args.string({ required: true, description: "as in a model block" }) };
  static override flags = {
    "model-root": modelRootFlag,
    sha256: Flags.string({ helpValue: "HEX", summary: "digest that the file must have" }),
  };

  async run(): Promise<PulledModel> {
    const { args, flags } = await this.parse(PullCommand);
    const [{ ModelStore }, { systemClock }] = await Promise.all([
      import("../neuron/store/io/model-store.ts"),
      import("../platform/system-clock.ts"),
    ]);
    const root = flags["model-root"] ?? join(this.environment.dataDirectory, "models");
    const store = new ModelStore({ root, hub: this.environment.modelHub }, { clock: systemClock });
    try {
      const stored = await store.fetch(args.source, {
        signal: new AbortController().signal,
        sha256: flags.sha256?.toLowerCase(),
        refresh: true,
        onProgress: (news) => {
          if (process.stderr.isTTY) this.remark(progressText(news));
        },
      });
      if (stored === null) {
        throw new CortexError("source_unsupported", `${args.source} is not a source that can be downloaded`, {
          next: "write hf:org/repo:TAG, hf:org/repo:file.gguf or https://host/file.gguf",
        });
      }
      const { source, revision, files } = stored.record;
      const pulled = { source, revision, path: stored.path, files };
      this.show(printPulled(pulled));
      return pulled;
    } finally {
      await store.close();
    }
  }
}

function progressText(news: {
  readonly step: string;
  readonly bytesDone: number;
  readonly bytesTotal: number | null;
  readonly etaSecs: number | null;
}): string {
  const total = news.bytesTotal === null ? "" : ` of ${formatBytes(news.bytesTotal)}`;
  const left = news.etaSecs === null ? "" : `, ${formatDuration(news.etaSecs * 1000)} left`;
  return `  ${news.step} ${formatBytes(news.bytesDone)}${total}${left}`;
}
