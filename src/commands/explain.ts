import * as Args from "@oclif/core/args";
import * as Flags from "@oclif/core/flags";
import { BaseCommand } from "../cli/base-command.ts";
import { apiKeyFileFlag, endpointFlag, intervalFlag, watchFlag } from "../cli/flags/fleet-flags.ts";
import { explanationView, requestListView } from "../cli/tables/requests-table.ts";
import { CortexError } from "../core/errors.ts";
import type { CodeEntry } from "../manual/manual.ts";
import type { RequestExplanation, RequestList } from "../protocol/request-explanation.ts";

interface ExplainedCodes {
  readonly codes: readonly CodeEntry[];
}

export default class ExplainCommand extends BaseCommand {
  static override summary = "where a request went and why, or what a code means and what to do";
  static override description =
    "CODE is one of an error or of a finding in the fleet files, as the last line of a failure names it; several are explained one after the other. That needs no gateway and no network. REQUEST is the id of a request: it is in the answer's x-request-id header and in the log. The gateway remembers its last 1000 requests, without what was asked or answered; without an argument the latest are listed. Where the fleet declares keys, the key must have the admin role.";
  static override examples = [
    "<%= config.bin %> explain model_not_found",
    "<%= config.bin %> explain CTX102 CTX126",
    "<%= config.bin %> explain",
    "<%= config.bin %> explain 0f9c8a52-4c1e-4f0e-9a54-6a4c3f0b7d11 --api-key-file ops.key",
    "<%= config.bin %> explain --watch",
    "<%= config.bin %> explain --json | jq '.requests[] | select(.status >= 500) | .request_id'",
  ];
  static override args = {
    subject: Args.string({
      name: "CODE|REQUEST",
      multiple: true,
      description: "codes, or the id of a request; default: list the latest requests",
    }),
  };
  static override flags = {
    gateway: endpointFlag,
    "api-key-file": apiKeyFileFlag,
    limit: Flags.integer({
      min: 1,
      max: 500,
      default: 20,
      helpValue: "COUNT",
      summary: "how many are listed",
    }),
    watch: watchFlag,
    interval: intervalFlag,
  };

  async run(): Promise<RequestExplanation | RequestList | ExplainedCodes | undefined> {
    const { args, flags } = await this.parse(ExplainCommand);
    const [first, ...rest] = args.subject ?? [];
    const explained = first === undefined ? undefined : await this.#explainCodes([first, ...rest]);
    if (explained !== undefined) return explained;
    const [{ readRequest, readRequests }, { systemClock }] = await Promise.all([
      import("../client/io/read-requests.ts"),
      import("../platform/system-clock.ts"),
    ]);
    const gateway = {
      baseUrl: flags.gateway.replace(/\/+$/, ""),
      apiKey: await this.readToken(flags["api-key-file"]),
      clock: systemClock,
    };
    if (first !== undefined)
      return this.presentOrWatch(flags, async () => explanationView(await readRequest(gateway, first)));
    return this.presentOrWatch(flags, async () => requestListView(await readRequests(gateway, flags.limit)));
  }

  /** Undefined for one word that is no code: the id of a request, which may be anything. */
  async #explainCodes(words: readonly string[]): Promise<ExplainedCodes | undefined> {
    const [{ findEntry, nearestCode }, { entryText }] = await Promise.all([
      import("../manual/manual.ts"),
      import("../manual/entry-text.ts"),
    ]);
    const found = words.map((word) => ({ word, entry: findEntry(word) }));
    const unknown = found.find(({ entry }) => entry === undefined);
    if (unknown !== undefined) {
      const meant = nearestCode(unknown.word);
      if (words.length === 1 && meant === undefined) return undefined;
      throw new CortexError("usage_error", `there is no code ${unknown.word}`, {
        next: meant === undefined ? "name codes, or one request" : `did you mean cortex explain ${meant}?`,
      });
    }
    const codes = found.flatMap(({ entry }) => entry ?? []);
    return this.present({
      json: { codes },
      human: () => codes.map(entryText).join("\n\n"),
      wraps: true,
    });
  }
}
