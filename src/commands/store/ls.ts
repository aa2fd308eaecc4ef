import { join } from "node:path";
import { BaseCommand } from "../../cli/base-command.ts";
import { modelRootFlag } from "../../cli/model-root-flag.ts";
import { printStoreListing } from "../../cli/print-store.ts";
import type { StoreListing } from "../../protocol/store-report.ts";

export default class StoreLsCommand extends BaseCommand {
  static override summary = "what this machine has downloaded: models by source, and what is on its way";
  static override examples = ["<%= config.bin %> store ls", "<%= config.bin %> store ls --json"];
  static override flags = { "model-root": modelRootFlag };

  async run(): Promise<StoreListing> {
    const { flags } = await this.parse(StoreLsCommand);
    const [{ listStore }, { systemClock }] = await Promise.all([
      import("../../neuron/store/io/store-shelf.ts"),
      import("../../platform/system-clock.ts"),
    ]);
    const listing = await listStore(flags["model-root"] ?? join(this.environment.dataDirectory, "models"));
    this.show(printStoreListing(listing, systemClock.nowMs()));
    return listing;
  }
}
