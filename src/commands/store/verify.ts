import { join } from "node:path";
import { BaseCommand } from "../../cli/base-command.ts";
import { modelRootFlag } from "../../cli/model-root-flag.ts";
import { printVerification } from "../../cli/print-store.ts";
import { CortexError } from "../../core/errors.ts";
import type { StoreVerification } from "../../protocol/store-report.ts";

export default class StoreVerifyCommand extends BaseCommand {
  static override summary = "read every downloaded model to its end and compare it with what came";
  static override examples = ["<%= config.bin %> store verify"];
  static override flags = { "model-root": modelRootFlag };

  async run(): Promise<StoreVerification> {
    const { flags } = await this.parse(StoreVerifyCommand);
    const { verifyStore } = await import("../../neuron/store/io/store-shelf.ts");
    const root = flags["model-root"] ?? join(this.environment.dataDirectory, "models");
    const verification = await verifyStore(root, new AbortController().signal);
    const bad = verification.checked.filter(({ problem }) => problem !== null);
    this.show(printVerification(verification));
    if (bad.length > 0) {
      throw new CortexError("checksum_mismatch", `${bad.length} downloaded files are not what came`, {
        details: { files: bad.map(({ file }) => file) },
        next: "remove them and run `cortex pull` again",
      });
    }
    return verification;
  }
}
