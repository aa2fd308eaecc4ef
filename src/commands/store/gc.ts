import { join } from "node:path";
import * as Flags from "@oclif/core/flags";
import { BaseCommand } from "../../cli/base-command.ts";
import { modelRootFlag } from "../../cli/model-root-flag.ts";
import { printCollection } from "../../cli/print-store.ts";
import type { StoreCollection } from "../../protocol/store-report.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
const GIB_BYTES = 1024 ** 3;

export default class StoreGcCommand extends BaseCommand {
  static override summary = "remove downloads that are not used: partial ones first, then models by last use";
  static override description =
    "Without flags only what is left of downloads that nobody went on with for a week. Files that a person put into the store are never touched; what is removed is fetched again when a load needs it.";
  static override examples = [
    "<%= config.bin %> store gc --dry-run --unused-days 30",
    "<%= config.bin %> store gc --free-gib 50",
  ];
  static override flags = {
    "model-root": modelRootFlag,
    "unused-days": Flags.integer({ min: 0, helpValue: "DAYS", summary: "models not loaded for so long" }),
    "free-gib": Flags.integer({
      min: 0,
      helpValue: "GIB",
      summary: "the longest unused, until so much is freed",
    }),
    "dry-run": Flags.boolean({ summary: "say what would be removed" }),
  };

  async run(): Promise<StoreCollection> {
    const { flags } = await this.parse(StoreGcCommand);
    const [{ collectStore }, { systemClock }] = await Promise.all([
      import("../../neuron/store/io/store-shelf.ts"),
      import("../../platform/system-clock.ts"),
    ]);
    const days = flags["unused-days"];
    const gib = flags["free-gib"];
    const collection = await collectStore(
      flags["model-root"] ?? join(this.environment.dataDirectory, "models"),
      {
        maxAgeMs: days === undefined ? null : days * DAY_MS,
        freeBytes: gib === undefined ? null : gib * GIB_BYTES,
        dryRun: flags["dry-run"],
      },
      systemClock,
    );
    this.show(printCollection(collection, systemClock.nowMs()));
    return collection;
  }
}
